"""Addresses of an experiment and of its runs on MLflow's pages."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from sweep.tracking.view import MODEL_TRAINING, make_view_query


@dataclass(frozen=True)
class ExperimentLink:
    """The address of an experiment in MLflow's web pages.

    Attributes:
        experiment_id: MLflow's id of the experiment.
        tracking_uri: URI of the store, without a password.
        view: key of the view with the sweep's charts; None where MLflow has no such views.
    """

    experiment_id: str
    tracking_uri: str
    view: str | None = None

    @property
    def command(self) -> str | None:
        """The command that serves the store, or None if it is a server already."""
        if self.tracking_uri.startswith(("http", "databricks")):
            return None
        default = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
        if self.tracking_uri in (default, "sqlite:///mlflow.db"):
            return f"{_mlflow_program()} ui"
        return f"{_mlflow_program()} ui --backend-store-uri {self.tracking_uri}"

    @property
    def link(self) -> str:
        """The URL of the experiment's page, with the charts of `view`."""
        base = self.tracking_uri if self.command is None else "http://127.0.0.1:5000"
        return f"{base.rstrip('/')}/{self.page(self.view)}"

    def page(self, view: str | None) -> str:
        """Return the address, on the server, of a view; None: of MLflow's own page."""
        page = f"#/experiments/{self.experiment_id}/runs"
        return f"{page}?{make_view_query(view)}" if view else page

    def run_page(self, run_id: str) -> str:
        """Return the address, on the server, of a run's page."""
        return f"#/experiments/{self.experiment_id}/runs/{run_id}?{MODEL_TRAINING}"


def _mlflow_program() -> str:
    """Return `mlflow`, with its folder where the shell would not find the program."""
    if shutil.which("mlflow"):
        return "mlflow"
    beside = Path(sys.executable).parent / "mlflow"
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)
