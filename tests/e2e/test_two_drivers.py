"""Two `run` of one sweep: one trains, the other is told who does, and at once."""

from __future__ import annotations

import os
import socket

import pytest
from user_folder import Folder, Start

from sweep.records.lease import hold_lease
from sweep.records.record import SweepFolder
from sweep.records.storage import Storage


@pytest.mark.slow
def test_of_two_that_are_started_together_one_trains(folder: Folder, start: Start) -> None:
    folder.grid()
    processes = [start("run", "grid.yaml") for _ in range(2)]
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2], said
    trained = processes[0].returncode == 2
    refused = said[not trained].splitlines()[-1]
    assert "process" in refused
    assert f"process {processes[trained].pid}, since 20" in refused
    assert f"on {socket.gethostname()} " in refused
    assert "4 completed; trained now: 4" in said[trained]
    assert "Traceback" not in "".join(said)
    records = folder.records().values()
    assert [len(record["attempts"]) for record in records] == [1] * 4
    assert folder.mlflow_rows("select status from runs") == [("FINISHED",)] * 4
    assert not (folder.path / "runs/small/driver.lock").exists()


def test_a_second_one_is_refused_before_it_checks_anything(folder: Folder) -> None:
    folder.grid(model={"name": "resnet101"})
    with hold_lease(SweepFolder(Storage.at(str(folder.path / "runs/small")))):
        done = folder.sweep("run", "grid.yaml")
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert f"already running on {socket.gethostname()} (process {os.getpid()}, since" in line
        assert sorted(p.name for p in (folder.path / "runs/small").iterdir()) == ["driver.lock"]
