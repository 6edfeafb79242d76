"""Grids are read from the test's own folder, and leave the import path as it was."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from mlflow_store import Query

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path, modules = sys.path[:], set(sys.modules)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow makes its tables once; each test begins with a copy."""
    from sweep.tracking.store import silence_mlflow

    silence_mlflow()
    from mlflow.tracking import MlflowClient

    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{store}").search_experiments()
    return store


@pytest.fixture
def query(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Query:
    """Read the store as it is on the disk, past MLflow's own client."""
    store = tmp_path / "mlflow.db"
    with sqlite3.connect(empty_store) as source, sqlite3.connect(store) as target:
        source.backup(target)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")

    def run(statement: str, *values: object) -> list[tuple[Any, ...]]:
        with sqlite3.connect(store) as connection:
            return connection.execute(statement, values).fetchall()

    return run
