"""MLflow tells the truth in the end, whatever happened to it, and training never waits for it."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from gated_grid import gated_grid, open_gate
from marked_processes import command, kill, kill_marked, marked
from mlflow_contents import assert_shows, num_rows, runs, statuses
from mlflow_server import MlflowServer, mlflow_server
from postgresql_server import PostgresqlServer, postgresql_server, why_not
from user_folder import Folder, Start
from waiting import until

UNREACHABLE = "MLflow cannot be reached"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    (tmp_path / "server").mkdir()
    with mlflow_server(tmp_path / "server") as running:
        yield running


def an_outcome(folder: Folder) -> bool:
    return any(record["outcome"] for record in folder.records().values())


@pytest.mark.slow
def test_a_server_that_comes_up_late_is_told_everything(
    folder: Folder, start: Start, server: MlflowServer
) -> None:
    server.kill()
    gated_grid(folder)
    process = start("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    assert process.stdout is not None
    assert any(UNREACHABLE in line for line in process.stdout)  # reads as far as that line
    server.start()
    until(lambda: runs(server.uri), process)
    open_gate(folder)
    output = process.stdout.read()
    assert process.wait() == 0, output
    assert UNREACHABLE not in output
    assert_shows(server.uri, folder.records())


def test_a_server_that_dies_is_told_by_sync(
    folder: Folder, start: Start, server: MlflowServer
) -> None:
    gated_grid(folder)
    process = start("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    until(lambda: runs(server.uri), process)
    server.kill()
    open_gate(folder)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 4, output
    assert "4 completed" in output
    assert output.count(UNREACHABLE) <= 1  # it may have ended before that was known
    assert output.count("not up to date") == 1
    assert "`norm-sweep sync grid.yaml` brings it up to date" in output
    in_vain = folder.sweep("sync", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    assert (in_vain.returncode, in_vain.stdout) == (4, "")
    assert len(in_vain.stderr.splitlines()) == 1
    server.start()
    for touched in ("", "4 runs up to date, 0 of them just now"):
        synced = folder.sweep("sync", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
        assert synced.returncode == 0, synced.stderr
        assert touched in synced.stdout
        assert_shows(server.uri, folder.records())


@pytest.mark.slow
def test_training_does_not_wait_for_a_server_that_hangs(
    folder: Folder, start: Start, server: MlflowServer
) -> None:
    gated_grid(folder)
    process = start("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    until(lambda: runs(server.uri), process)
    server.freeze()
    open_gate(folder)
    until(lambda: [r["outcome"] for r in folder.records().values()].count("completed") == 4)
    server.thaw()
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert_shows(server.uri, folder.records())


@pytest.mark.slow
def test_a_server_that_hangs_to_the_end_is_left_behind(
    folder: Folder, start: Start, server: MlflowServer
) -> None:
    gated_grid(folder)
    process = start("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    until(lambda: runs(server.uri), process)
    server.freeze()
    open_gate(folder)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 4, output
    server.thaw()
    assert folder.sweep("sync", "grid.yaml", MLFLOW_TRACKING_URI=server.uri).returncode == 0
    assert_shows(server.uri, folder.records())


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_a_server_that_hangs(
    folder: Folder, start: Start, server: MlflowServer
) -> None:
    gated_grid(folder)
    process = start("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    until(lambda: runs(server.uri), process)
    server.freeze()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)  # 30 s on a machine of its own
    assert process.returncode == 3, output
    # In order, or, where the machine is too busy for that, when its time was over.
    assert "not up to date" in output or "run the same command again" in output
    server.thaw()
    assert folder.sweep("sync", "grid.yaml", MLFLOW_TRACKING_URI=server.uri).returncode == 0
    assert_shows(server.uri, folder.records())


def test_a_driver_that_is_killed_leaves_no_run_running(
    folder: Folder, start: Start, server: MlflowServer
) -> None:
    gated_grid(folder, norms=("gated:Norm",))
    process = start("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    until(lambda: "RUNNING" in statuses(server.uri), process)
    process.kill()
    process.wait()
    until(lambda: statuses(server.uri) == {"KILLED"})
    status = folder.sweep("status", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    assert f"process {process.pid}" in status.stdout
    assert "died" in status.stdout


@pytest.mark.slow
def test_a_machine_that_loses_power_leaves_what_sync_puts_right(
    folder: Folder, start: Start, server: MlflowServer, mark: dict[str, str]
) -> None:
    gated_grid(folder, norms=("gated:Norm",))
    process = start("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    until(lambda: "RUNNING" in statuses(server.uri), process)
    kill_marked(mark)
    process.wait()
    assert "RUNNING" in statuses(server.uri)
    status = folder.sweep("status", "grid.yaml")
    assert "`norm-sweep sync grid.yaml`" in status.stdout
    for _ in range(2):
        synced = folder.sweep("sync", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
        assert synced.returncode == 0, synced.stderr
        assert_shows(server.uri, folder.records())
    before = folder.records()
    open_gate(folder)
    resumed = folder.sweep("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert all(
        r["epochs"] == folder.records()[i]["epochs"][: len(r["epochs"])] for i, r in before.items()
    )
    assert_shows(server.uri, folder.records())


@pytest.mark.slow
def test_the_shipping_process_may_die(
    folder: Folder, start: Start, server: MlflowServer, mark: dict[str, str]
) -> None:
    gated_grid(folder)
    process = start("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
    until(lambda: num_rows(server.uri), process)
    (shipping,) = [p for p in marked(mark) if "multiprocessing.spawn" in command(p)]
    kill(shipping)
    open_gate(folder)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert_shows(server.uri, folder.records())


@pytest.mark.slow
def test_a_store_that_somebody_writes_to_for_long(folder: Folder, start: Start) -> None:
    store = f"sqlite:///{folder.path / 'mlflow.db'}"
    gated_grid(folder)
    process = start("run", "grid.yaml")
    until(lambda: (folder.path / "mlflow.db").exists() and num_rows(store), process)
    with sqlite3.connect(folder.path / "mlflow.db", timeout=60) as writer:
        writer.execute("begin immediate")
        open_gate(folder)
        until(lambda: an_outcome(folder), process)
    writer.close()
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert_shows(store, folder.records())


@pytest.mark.slow
def test_a_store_that_is_locked_to_the_end_is_told_by_sync(folder: Folder, start: Start) -> None:
    store = f"sqlite:///{folder.path / 'mlflow.db'}"
    gated_grid(folder)
    process = start("run", "grid.yaml")
    until(lambda: (folder.path / "mlflow.db").exists() and num_rows(store), process)
    with sqlite3.connect(folder.path / "mlflow.db", timeout=60) as writer:
        writer.execute("begin immediate")
        open_gate(folder)
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 4, output
        assert output.count(UNREACHABLE) <= 1  # it may have ended before that was known
        (line,) = [line for line in output.splitlines() if "not up to date" in line]
        assert "database is locked" in line
    writer.close()
    assert folder.sweep("sync", "grid.yaml").returncode == 0
    assert_shows(store, folder.records())


@pytest.fixture
def postgresql() -> Iterator[PostgresqlServer]:
    if reason := why_not():
        pytest.skip(reason)
    pytest.importorskip("psycopg2")
    with postgresql_server() as running:
        yield running


@pytest.mark.slow
def test_a_server_over_postgresql_through_every_outage(
    folder: Folder, start: Start, postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    (tmp_path / "server").mkdir()
    with mlflow_server(tmp_path / "server", postgresql.uri) as server:
        gated_grid(folder)
        process = start("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
        until(lambda: runs(server.uri), process)
        server.kill()  # and again
        server.start()
        postgresql.kill()  # the server is there, and answers with errors
        until(lambda: an_outcome(folder), process)
        postgresql.start()
        until(lambda: "RUNNING" in statuses(server.uri), process)
        server.freeze()
        process.send_signal(signal.SIGKILL)
        process.wait()
        server.thaw()
        open_gate(folder)
        resumed = folder.sweep("run", "grid.yaml", MLFLOW_TRACKING_URI=server.uri)
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        before = num_rows(server.uri)
        assert folder.sweep("sync", "grid.yaml", MLFLOW_TRACKING_URI=server.uri).returncode == 0
        assert num_rows(server.uri) == before
        assert_shows(server.uri, folder.records())


@pytest.mark.slow
def test_postgresql_without_a_server_between(folder: Folder, postgresql: PostgresqlServer) -> None:
    folder.grid()
    for touched in (4, 0):
        done = folder.sweep("run", "grid.yaml", MLFLOW_TRACKING_URI=postgresql.uri)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"trained now: {touched}" in done.stdout
        assert_shows(postgresql.uri, folder.records())
