"""Where to look at an experiment."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from sweep.tracking.view import OF_TRAINING, query


@dataclass(frozen=True)
class ExperimentLink:
    """Where to look at the experiment: its id, the tracking URI, a link, the command for it.

    `view` is the key of the page with the sweep's charts, None where MLflow does not know it.
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
            return f"{_program()} ui"
        return f"{_program()} ui --backend-store-uri {self.tracking_uri}"

    @property
    def link(self) -> str:
        """The experiment's page, with its charts set where that is known."""
        base = self.tracking_uri if self.command is None else "http://127.0.0.1:5000"
        return f"{base.rstrip('/')}/{self.page(self.view)}"

    def page(self, view: str | None) -> str:
        """The address of a view of the experiment on its server; None: the plain page."""
        page = f"#/experiments/{self.experiment_id}/runs"
        return f"{page}?{query(view)}" if view else page

    def run_page(self, run_id: str) -> str:
        """The address of a run's page on its server."""
        return f"#/experiments/{self.experiment_id}/runs/{run_id}?{OF_TRAINING}"


def _program() -> str:
    """`mlflow`, with its folder where the shell would not find it."""
    if shutil.which("mlflow"):
        return "mlflow"
    beside = Path(sys.executable).parent / "mlflow"
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)
