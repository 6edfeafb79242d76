from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow_store import Query
from small_grids import factors, load, record_of, save

from sweep.records.record import SweepFolder
from sweep.records.storage import Storage
from sweep.tracking.exporter import MOST_RESTARTS, Exporter, export_all
from trainables.spec import Outcome

NOBODY = "http://127.0.0.1:9"
LONGEST_START_S = 90.0


def test_records_reach_mlflow_while_the_sweep_trains(query: Query) -> None:
    grid = load(**factors(norm=["groupnorm"], seed=1))
    first, second = grid.trials
    statuses = "select name, status from runs order by name desc"
    shipper = Exporter(grid)
    save(grid, record_of(first, 1))
    shipper.changed(first.trial_id)
    deadline = time.monotonic() + LONGEST_START_S
    while not query(statuses):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert shipper.news() is None
    # The second one's change goes unnoted: the end ships all records that there are.
    save(grid, record_of(first, 3, Outcome.COMPLETED), record_of(second, 1))
    shipped = shipper.finish()
    assert shipped.error is None
    assert shipped.place is not None
    assert shipped.num_touched == 2
    assert query(statuses) == [
        ("groupnorm-bs016-s0", "FINISHED"),
        ("groupnorm-bs008-s0", "KILLED"),
    ]
    assert export_all(grid).num_touched == 0


def test_a_server_that_cannot_be_reached_is_complained_of_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)
    grid = load()
    save(grid, record_of(grid.trials[0], 1))
    shipper = Exporter(grid)
    begun = time.monotonic()
    shipper.changed(grid.trials[0].trial_id)
    assert time.monotonic() - begun < 1
    while (news := shipper.news()) is None:
        assert time.monotonic() - begun < LONGEST_START_S
        time.sleep(0.1)
    assert news.error == f"{NOBODY}: connection refused"
    for trial in grid.trials:
        shipper.changed(trial.trial_id)
    time.sleep(4)  # long enough for another try, in vain
    assert shipper.news() is None
    begun = time.monotonic()
    shipped = shipper.finish()
    assert time.monotonic() - begun < 60
    assert shipped.place is None
    assert shipped.error == f"{NOBODY}: connection refused"
    assert multiprocessing.active_children() == []


def test_a_shipping_process_that_dies_is_replaced(query: Query) -> None:
    grid = load()
    record = record_of(grid.trials[0], 3, Outcome.COMPLETED)
    save(grid, record)
    shipper = Exporter(grid)
    _kill_the_child()
    shipper.changed(record.trial_id)
    _kill_the_child()
    assert shipper.finish().error is None
    assert query("select status from runs") == [("FINISHED",)]


def test_a_shipping_process_that_dies_again_and_again_is_given_up() -> None:
    shipper = Exporter(load())
    for _ in range(MOST_RESTARTS + 1):
        _kill_the_child()
        shipper.changed("0123456789ab")
    assert shipper.finish().error == "the shipping process ended unexpectedly"


LEAVE = """\
import os, time
from pathlib import Path
from sweep.grid.model import load_grid
from sweep.tracking import exporter

def outlast_the_driver(*_):  # the shipping process reads this file too
    driver = os.getppid()
    Path("begun").touch()
    while os.getppid() == driver:
        time.sleep(0.05)
    return exporter.ExportResult()

exporter.export_all = outlast_the_driver
if __name__ == "__main__":
    shipper = exporter.Exporter(load_grid("grid.yaml"))
    shipper._send(exporter.FINISH)
    while not Path("begun").exists():
        time.sleep(0.05)
    os._exit(0)
"""


def test_a_driver_that_leaves_in_the_middle_is_not_complained_of(query: Query) -> None:
    save(grid := load(), record_of(grid.trials[0], 1))
    Path("leave.py").write_text(LEAVE)
    command = [sys.executable, "leave.py"]
    # Its streams are the shipping process's too, and so are read until that has ended.
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_START_S)
    assert Path("begun").exists()
    assert (done.stdout, done.stderr) == ("", "")


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
