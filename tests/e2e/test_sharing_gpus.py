"""Ray is told of a GPU that is not there: what is measured decides the shares, on real Ray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ray_cluster import ray_cluster
from user_folder import Folder

LAYERS = """
import ray
from torch import nn

class Noting(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(2, num_channels)

    def forward(self, x):
        if x.requires_grad and ray.is_initialized():
            share = ray.get_runtime_context().get_assigned_resources().get("GPU", 0)
            with open({log!r}, "a") as log:
                log.write(f"{{share:g}} {{x.shape[0]}}\\n")
        return super().forward(x)
"""

RUN = """
import os, sys
import ray
from sweep.cli.app import main
from sweep.resources.capacity import Share
from sweep.resources.gpu_sharing import measure
from sweep.resources.gpu_sharing.throughput import ThroughputProbe

FAST = {{"16": {{1: 9.0, 2: 17.0, 4: 17.1}}, "8": {{1: 9.0, 2: 17.0, 4: 33.0}}}}

class Invented:
    def __init__(self, import_paths, folder):
        pass

    def probe(self, workload, most):
        size = workload.specs[0].batch_size
        with open({log!r}, "a") as log:
            log.write(f"measured {{size}}\\n")
        if size == 4:
            raise RuntimeError("a kernel is missing")
        return ThroughputProbe(1, 100, FAST[str(size)])

if {pretend}:  # what is trained on the GPU is trained on the CPU
    Share.device = "cpu"
    measure.ProbeProcessPool = Invented
    measure.reason_not_measured = lambda *_: None
init = ray.init
ray.init = lambda **options: init(**{{**options, "num_cpus": 4, "num_gpus": 1}})
sys.argv = ["sweep", "run", "grid.yaml"]
main()
"""


def run(folder: Folder, *, pretend: bool = True) -> tuple[str, list[str]]:
    """What a run prints, and what was noted in its course."""
    log = folder.path / "noted"
    log.unlink(missing_ok=True)
    (folder.path / "noting.py").write_text(LAYERS.format(log=str(log)))
    done = folder.python_code(RUN.format(log=str(log), pretend=pretend))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = log.read_text().splitlines() if log.exists() else []
    return done.stdout, list(dict.fromkeys(lines))


@pytest.mark.slow
def test_cells_share_the_gpu_as_measured(folder: Folder) -> None:
    factors = {"norm": ["noting:Noting"], "batch_size": [16, 8, 4], "seed": 1}
    folder.grid(factors=factors, reference=None)
    output, noted = run(folder)
    assert "noting:Noting-bs004-s0 could not be measured on a GPU" in output
    assert "a kernel is missing" in output
    assert "4 trials per GPU in 1 cell, 2 in 1 cell, 1 in 1 cell" in output
    assert sorted(noted) == ["0.25 8", "0.5 16", "1 4", "measured 16", "measured 4", "measured 8"]
    rows = json.loads((folder.path / "runs" / "small" / "sharing.json").read_text())
    assert {row["cell"] for row in rows} == {"noting:Noting-bs016", "noting:Noting-bs008"}


@pytest.mark.slow
@pytest.mark.parametrize("gpu", ["auto", 0.5])
def test_a_gpu_that_pytorch_does_not_see_is_none(folder: Folder, gpu: float | str) -> None:
    torch_sees_one = folder.python_code("import torch, sys; sys.exit(torch.cuda.is_available())")
    if torch_sees_one.returncode:
        pytest.skip("PyTorch sees a GPU here")
    folder.grid(resources={"cpu": 1, "gpu": gpu})
    if gpu == "auto":
        output, _ = run(folder, pretend=False)
        assert "sees none: training on the CPUs" in output
        assert "4 trials: 4 completed" in output
        assert {r["attempts"][0]["device"] for r in folder.records().values()} == {"cpu"}
    else:
        done = folder.python_code(RUN.format(log="", pretend=False))
        assert done.returncode != 0
        assert "sees none; mend its driver, or say `resources: {gpu: 0}`" in done.stderr
        assert not folder.records()


def test_a_node_whose_gpu_pytorch_does_not_see_is_named(folder: Folder, tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    folder.grid(storage=str(tmp_path / "runs"))
    with ray_cluster(nodes) as cluster:
        cluster.add(num_cpus=2, num_gpus=1, CUDA_VISIBLE_DEVICES="")
        done = folder.sweep("run", "grid.yaml", "--address", cluster.address)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Ray counts a GPU there, but PyTorch sees none; mend its driver" in done.stderr
    assert not list((tmp_path / "runs").glob("small/trials/*"))
