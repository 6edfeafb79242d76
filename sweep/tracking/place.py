"""Where to look at an experiment."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where to look at the experiment: its id, the tracking URI, a link, the command for it."""

    experiment_id: str
    tracking_uri: str

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
        """The experiment's page."""
        base = self.tracking_uri if self.command is None else "http://127.0.0.1:5000"
        return f"{base.rstrip('/')}/#/experiments/{self.experiment_id}/runs"


def _program() -> str:
    """`mlflow`, with its folder where the shell would not find it."""
    if shutil.which("mlflow"):
        return "mlflow"
    beside = Path(sys.executable).parent / "mlflow"
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)
