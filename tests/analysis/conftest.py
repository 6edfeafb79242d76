"""An MLflow database without experiments, made once: its many migrations take seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mlflow import MlflowClient

    database = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Path:
    """A copy of the empty database for one test."""
    return Path(shutil.copy(empty_store, tmp_path / "tracking.db"))
