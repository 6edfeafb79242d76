"""Trials that run out of memory come again with more of the device; real Ray, no GPU needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small_grids import load, write

from sweep.resources.capacity import Capacity, Share

LAYERS = """
import ray
import torch
from torch import nn

class Hungry(nn.GroupNorm):
    least = {least}

    def __init__(self, num_channels):
        super().__init__(2, num_channels)

    def forward(self, x):
        if x.requires_grad and ray.is_initialized():
            share = ray.get_runtime_context().get_assigned_resources().get("{kind}", 0)
            with open("{log}", "a") as log:
                log.write(f"{{share:g}} {{x.shape[0]}}\\n")
            if share < self.least:
                raise torch.OutOfMemoryError(f"{{share:g}} is too little")
        return super().forward(x)
"""

RUN = """
import os, sys
import ray
from sweep.cli.app import main
from sweep.resources.capacity import Share

# Ray is told of a GPU that is not there: the trials are trained on the CPU.
Share.device = "cpu"
init = ray.init
ray.init = lambda **options: init(**{**options, "num_cpus": 2, "num_gpus": 1})
os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///mlflow.db"
sys.argv = ["sweep", "run", "grid.yaml"]
main()
"""


@pytest.mark.parametrize(
    ("kind", "least", "asked_for", "outcome"),
    [
        pytest.param("GPU", 0.9, {"cpu": 1, "gpu": 0.25}, 0, marks=pytest.mark.slow),
        ("CPU", 3, {"cpu": 1, "gpu": 0}, 1),
    ],
)
def test_memory_that_ran_out_is_answered_with_more_of_the_device(
    kind: str, least: float, asked_for: dict[str, float], outcome: int
) -> None:
    log = Path("shares").absolute()
    Path("hungry_layers.py").write_text(LAYERS.format(kind=kind, least=least, log=log))
    factors = {"norm": ["hungry_layers:Hungry"], "batch_size": [16], "seed": 2}
    write(factors=factors, resources=asked_for)
    done = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == outcome, done.stdout + done.stderr
    tried = [line.split() for line in log.read_text().splitlines()]
    shares = list(dict.fromkeys(float(share) for share, _ in tried))
    assert shares == ([0.25, 0.5, 1.0] if kind == "GPU" else [1, 2])
    assert {size for _, size in tried} == {"16"}
    assert "trials ran out of memory with 1 CPU" in done.stdout
    said = "2 completed" if outcome == 0 else "2 out of memory"
    assert f"2 trials: {said}" in done.stdout


@pytest.mark.parametrize(
    ("asked_for", "expected"),
    [
        ({"cpu": 1, "gpu": "auto"}, [Share(1, 1)]),
        ({"cpu": 1, "gpu": 0.3}, [Share(1, 0.3), Share(1, 0.6), Share(1, 1)]),
        ({"cpu": 2, "gpu": 2.0}, [Share(2, 2)]),
        ({"cpu": 2, "gpu": 0}, [Share(2, 0), Share(16, 0)]),
        ({"cpu": 16, "gpu": 0}, [Share(16, 0)]),
    ],
)
def test_shares_grow_to_the_whole_device(
    asked_for: dict[str, object], expected: list[Share]
) -> None:
    grid = load(resources=asked_for)
    nodes = [{"CPU": 16.0, "GPU": 2.0}, {"CPU": 16.0, "GPU": 2.0}, {"CPU": 2.0}]
    assert Capacity(nodes).shares(grid) == expected
