from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweep.tracking.store import _artifact_location, connect_store

CONNECT = "from sweep.tracking.store import connect_store; connect_store().search_experiments()"


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    store = tmp_path / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    return store


def test_a_process_killed_while_the_store_is_made_leaves_none(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", CONNECT], env={**os.environ})
    try:
        while not any(file.stat().st_size for file in tmp_path.glob("**/mlflow.db")):
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    store = tmp_path / "mlflow.db"
    if store.exists():  # it was quick
        assert tables(store) == tables_of_a_whole_store(tmp_path)
    assert [experiment.name for experiment in connect_store().search_experiments()] == ["Default"]
    assert tables(store) == tables_of_a_whole_store(tmp_path)


def test_a_store_that_is_there_is_let_be(own_store: Path, tmp_path: Path) -> None:
    connect_store().create_experiment("mine")
    inode = own_store.stat().st_ino
    assert connect_store().get_experiment_by_name("mine") is not None
    assert own_store.stat().st_ino == inode
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["data%20set", "Müller & co (2026) #1"])
def test_a_folder_of_any_name_gets_a_store_and_no_folder_beside_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / name
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    client = connect_store()
    experiment = client.create_experiment("mine", _artifact_location())
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "kept", "note.txt")
    assert (here / "mlruns" / run / "artifacts" / "note.txt").read_text() == "kept"
    assert connect_store().get_experiment_by_name("mine") is not None
    assert sorted(path.name for path in here.iterdir()) == ["mlflow.db", "mlruns"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def tables(store: Path) -> set[str]:
    with sqlite3.connect(store) as connection:
        return {name for (name,) in connection.execute("select name from sqlite_master")}


def tables_of_a_whole_store(folder: Path) -> set[str]:
    """As MLflow itself makes them."""
    from mlflow.tracking import MlflowClient

    store = folder / "whole.db"
    MlflowClient(f"sqlite:///{store}").search_experiments()
    return tables(store)
