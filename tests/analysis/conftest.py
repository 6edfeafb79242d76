"""MLflow databases, and a cache that is no test's neighbour's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from synthetic_sweep import diverge, make_sweep, write_folder

from analysis.findings import Findings, findings_of
from analysis.options import Options
from analysis.schema import Results
from analysis.sources.load_results import load_results


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept in the user's folder, and nothing found there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without experiments, made once: its many migrations take seconds."""
    from mlflow import MlflowClient

    database = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Path:
    """A copy of the empty database for one test."""
    return Path(shutil.copy(empty_store, tmp_path / "tracking.db"))


@pytest.fixture(scope="session")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A sweep of which one trial diverged."""
    sweep = make_sweep()
    diverge(list(sweep["records"].values())[3], 2)
    return load_results(write_folder(sweep, tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="session")
def findings(trials: Results) -> Findings:
    """What the analysis finds in it."""
    return findings_of(trials, Options(threshold=9.0))[0]
