"""Seeds until decided, from the first look to the last, also through a kill between two looks."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from marked_processes import left_after
from user_folder import Folder, Start
from waiting import until

FACTORS = {
    "norm": ["batchnorm", "groupnorm"],
    "batch_size": [16, 8],
    "seed": {"until": "decided", "from": 3, "to": 4},
}
TRAIN = {"epochs": 1, "optimizer": {"lr": 0.02}}


def looks_of(folder: Folder) -> dict[str, Any]:
    """The file of the looks, without the times of day."""
    content: dict[str, Any] = json.loads((folder.path / "runs/small/looks.json").read_text())
    for look in content["looks"]:
        del look["taken"]
    return content


def test_a_killed_sweep_decides_as_an_undisturbed_one(
    tmp_path: Path, start: Start, mark: dict[str, str], folder: Folder
) -> None:
    whole = Folder(tmp_path / "whole")
    whole.path.mkdir()
    for each in (whole, folder):
        each.grid(factors=FACTORS, train=TRAIN)
    planned = json.loads(whole.sweep("plan", "grid.yaml", "--json").stdout)
    assert (planned["num_trials"], planned["looks"]["num_possible"]) == (12, 4)
    run = whole.sweep("run", "grid.yaml", "--report", "report")
    assert run.returncode == 0, run.stdout + run.stderr
    found = looks_of(whole)
    assert [look["num_seeds"] for look in found["looks"]] == [3, 4]
    assert "decided after 3 of at most 4 seeds: " in run.stdout
    assert run.stdout.count("groupnorm: level ") == 3  # at both looks, and at the end
    assert "Decided by looks: groupnorm" in (whole.path / "report/report.md").read_text()
    status = whole.sweep("status", "grid.yaml").stdout
    assert "16 trials: 16 completed" in status
    assert "decided after 4 of at most 4 seeds: " in status

    process = start("run", "grid.yaml")
    until((folder.path / "runs/small/looks.json").exists, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert left_after(mark, 60) == []
    assert len(looks_of(folder)["looks"]) == 1
    resumed = folder.sweep("run", "grid.yaml")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert looks_of(folder) == found

    again = folder.sweep("run", "grid.yaml")
    assert "trained now: 0" in again.stdout
    assert looks_of(folder) == found
    more = folder.sweep("run", "grid.yaml", "--set", "factors.norm=[batchnorm,layernorm]")
    assert more.returncode == 2
    assert more.stderr.count("\n") == 1
    assert "its looks were taken for other norms" in more.stderr
