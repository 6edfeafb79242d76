"""The real program, in real processes, in an empty folder."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SMALL: dict[str, Any] = {
    "name": "small",
    "factors": {"norm": ["batchnorm", "groupnorm"], "batch_size": [16, 8], "seed": 1},
    "data": {"name": "digits", "num_train": 64, "num_test": 40},
    "model": {"name": "resnet8", "width": 8},
    "train": {"epochs": 2, "optimizer": {"lr": 0.02}},
    "reference": "batchnorm",
}


@dataclass
class Folder:
    """A user's folder, and what a user types in it."""

    path: Path

    def grid(self, name: str = "grid.yaml", **changes: Any) -> Path:
        """Write a grid: the small one, with some of its sections changed."""
        file = self.path / name
        file.write_text(yaml.safe_dump({**SMALL, **changes}))
        return file

    def environment(self, **env: str) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
        return {**clean, "COLUMNS": "100", **env}

    def sweep(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.python("sweep", *arguments, **env)

    def python(self, module: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run("-m", module, *arguments, **env)

    def python_code(self, code: str) -> subprocess.CompletedProcess[str]:
        return self._run("-c", code)

    def isolated(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As an installed script runs: Python looks for no module in the working folder."""
        return self._run("-P", "-c", code, *arguments)

    def _run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.path,
            env=self.environment(**env),
            capture_output=True,
            text=True,
            timeout=240,
        )

    def records(self, sweep: str = "small") -> dict[str, dict[str, Any]]:
        files = (self.path / "runs" / sweep / "trials").glob("*/record.json")
        records = [json.loads(file.read_text()) for file in files]
        return {record["trial_id"]: record for record in records}

    def mlflow_rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path / "mlflow.db") as connection:
            return connection.execute(query).fetchall()


Start = Callable[..., subprocess.Popen[str]]
