"""Ray ends workers when the machine runs low on memory: their trials go on, and not for ever."""

from __future__ import annotations

import psutil
import pytest
from user_folder import Folder

MARGIN, MEAL = 3 * 2**30, 5 * 2**30
"""Bytes beyond what is in use now at which Ray ends workers, and that the layer takes."""

EATER = """
import time
from pathlib import Path
import torch
from torch import nn

HERE = Path({here!r})
kept = []

class Eater(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(2, num_channels)

    def forward(self, x):
        if x.requires_grad and list(HERE.glob("runs/small/trials/*/checkpoint-000001.pt")):
            meals = len(list(HERE.glob("meal-*")))
            if meals < {meals}:
                (HERE / f"meal-{{meals}}-of-{{len(x)}}").touch()
                kept.append(torch.ones({meal} // 4))
                time.sleep(60)
        return super().forward(x)
"""


def run(folder: Folder, meals: int) -> tuple[int, str]:
    """Exit code and output of a run whose layer eats so often; Ray watches the memory."""
    memory = psutil.virtual_memory()
    if memory.available < MARGIN + 2 * MEAL:
        pytest.skip("too little memory is free")
    text = EATER.format(here=str(folder.path), meals=meals, meal=MEAL)
    (folder.path / "eater.py").write_text(text)
    factors = {"norm": ["eater:Eater"], "batch_size": [8], "seed": 1}
    train = {"epochs": 3, "optimizer": {"lr": 0.02}}
    folder.grid(factors=factors, train=train, reference=None, resources={"cpu": 1, "gpu": 0})
    threshold = (memory.total - memory.available + MARGIN) / memory.total
    watched = {"RAY_memory_usage_threshold": f"{threshold:.4f}"}
    done = folder.sweep("run", "grid.yaml", **watched, RAY_memory_monitor_refresh_ms="100")
    sizes = {place.name.rpartition("-")[2] for place in folder.path.glob("meal-*")}
    assert sizes == {"8"}  # never with another batch size
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout


ENDED = (
    "eater:Eater-bs008-s0: Ray has ended its worker, since the machine ran out of memory; it goes"
)


@pytest.mark.slow
def test_a_worker_ended_to_save_memory_is_replaced(folder: Folder) -> None:
    code, output = run(folder, meals=1)
    assert code == 0, output
    assert f"{ENDED} on from its last checkpoint (epoch 1 of 3 was done)" in output
    (record,) = folder.records().values()
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2, 3]
    assert record["attempts"][-1]["from_epoch"] == 1
    again = folder.sweep("reproduce", "grid.yaml", record["trial_id"])
    assert "final weights: same bits" in again.stdout


@pytest.mark.slow
def test_a_trial_whose_every_worker_is_ended_is_out_of_memory(folder: Folder) -> None:
    code, output = run(folder, meals=100)
    assert code == 1, output
    assert ENDED in output
    assert "1 trial: 1 out of memory; trained now: 1" in output
    (record,) = folder.records().values()
    assert record["outcome"] == "out_of_memory"
    assert "4 times (ended by Ray, since the machine ran out of memory)" in output
    status = folder.sweep("status", "grid.yaml").stdout
    assert "1 out of memory" in status
    assert (
        "eater:Eater-bs008-s0 out_of_memory: WorkerDied: its worker process died 4 times" in status
    )
    assert folder.mlflow_rows("select status from runs") == [("FAILED",)]
