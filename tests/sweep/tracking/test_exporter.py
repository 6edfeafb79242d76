from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from mlflow_store import Query
from small_grids import factors, load, record_of, save

from sweep.process.child_process import ChildProcess
from sweep.records.record import SweepFolder
from sweep.records.storage import Storage
from sweep.tracking.export import ExportResult, export_all
from sweep.tracking.exporter import MOST_RESTARTS, Exporter
from trainables.spec import Outcome

NOBODY = "http://127.0.0.1:9"
LONGEST_START_S = 90.0


def test_records_reach_mlflow_while_the_sweep_trains(query: Query) -> None:
    grid = load(**factors(norm=["groupnorm"], seed=1))
    first, second = grid.trials
    statuses = "select name, status from runs order by name desc"
    exporter = Exporter(grid)
    save(grid, record_of(first, 1))
    exporter.notify_change(first.trial_id)
    deadline = time.monotonic() + LONGEST_START_S
    while not query(statuses):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert exporter.poll_reachability() is None
    # The second one's change goes unnoted: the end ships all records that there are.
    save(grid, record_of(first, 3, Outcome.COMPLETED), record_of(second, 1))
    result = exporter.finish()
    assert result.error is None
    assert result.link is not None
    assert result.num_exported == 2
    assert query(statuses) == [
        ("groupnorm-bs016-s0", "FINISHED"),
        ("groupnorm-bs008-s0", "KILLED"),
    ]
    assert export_all(grid).num_exported == 0


def test_a_server_that_cannot_be_reached_is_complained_of_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)
    grid = load()
    save(grid, record_of(grid.trials[0], 1))
    exporter = Exporter(grid)
    begun = time.monotonic()
    exporter.notify_change(grid.trials[0].trial_id)
    assert time.monotonic() - begun < 1
    while (news := exporter.poll_reachability()) is None:
        assert time.monotonic() - begun < LONGEST_START_S
        time.sleep(0.1)
    assert news.error == f"{NOBODY}: connection refused"
    for trial in grid.trials:
        exporter.notify_change(trial.trial_id)
    time.sleep(4)  # long enough for another try, in vain
    assert exporter.poll_reachability() is None
    begun = time.monotonic()
    result = exporter.finish()
    assert time.monotonic() - begun < 60
    assert result.link is None
    assert result.error == f"{NOBODY}: connection refused"
    assert multiprocessing.active_children() == []


def test_an_exporter_that_dies_is_replaced(query: Query) -> None:
    grid = load()
    record = record_of(grid.trials[0], 3, Outcome.COMPLETED)
    save(grid, record)
    exporter = Exporter(grid)
    _kill_the_child()
    exporter.notify_change(record.trial_id)
    _kill_the_child()
    assert exporter.finish().error is None
    assert query("select status from runs") == [("FINISHED",)]


def test_an_exporter_that_dies_again_and_again_is_given_up() -> None:
    exporter = Exporter(load())
    for _ in range(MOST_RESTARTS + 1):
        _kill_the_child()
        exporter.notify_change("0123456789ab")
    assert exporter.finish().error == "the exporter's process ended unexpectedly"


def test_an_exporter_that_dies_while_it_finishes_is_replaced_and_then_given_up(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    starts = []

    def start_dying(_: Exporter) -> ChildProcess[ExportResult]:
        starts.append("started")
        return ChildProcess(Connection.close)

    monkeypatch.setattr(Exporter, "_start_child", start_dying)
    result = Exporter(load()).finish()
    assert result.error == "the exporter's process ended unexpectedly"
    assert len(starts) == 1 + MOST_RESTARTS
    assert capfd.readouterr() == ("", "")


DRIVER = """\
import os, time
from pathlib import Path
from sweep.grid.model import load_grid
from sweep.tracking.exporter import Exporter

exporter = Exporter(load_grid("grid.yaml"))
exporter.notify_change(Path("trial_id").read_text())
while not Path("leave").exists():
    time.sleep(0.05)
os._exit(0)
"""


@pytest.mark.parametrize("program", [["driver.py"], ["-c", DRIVER], ["-"]])
def test_a_driver_that_leaves_during_an_export_is_not_complained_of(program: list[str]) -> None:
    """The exporter does not import the driver: a script without a guard, or no file at all."""
    save(grid := load(), record_of(grid.trials[0], 1))
    Path("trial_id").write_text(grid.trials[0].trial_id)
    Path("driver.py").write_text(DRIVER)
    with socket.create_server(("127.0.0.1", 0)) as server, open("driver.py") as code:
        server.settimeout(LONGEST_START_S)
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        path = os.pathsep.join(sys.path)
        driver = subprocess.Popen(
            [sys.executable, *program],
            env={**os.environ, "MLFLOW_TRACKING_URI": uri, "PYTHONPATH": path},
            stdin=code,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        request, _ = server.accept()  # the export has begun
        Path("leave").touch()
        driver.wait()
        request.close()
    # The exporter has the driver's streams, which are read until the exporter has ended.
    printed, complaints = driver.communicate(timeout=LONGEST_START_S)
    assert (driver.returncode, printed, complaints) == (0, "", "")


def _kill_the_child() -> None:
    (process,) = multiprocessing.active_children()
    process.kill()
    process.join()


def test_a_damaged_record_is_named() -> None:
    grid = load()
    folder = SweepFolder(Storage.at("runs/small")).trial(grid.trials[0].trial_id)
    folder.storage.write("record.json", b"{")
    error = export_all(grid).error
    assert error is not None
    assert f"{grid.trials[0].trial_id}/record.json: not a record" in error
