"""Real processes on the CPU: how they talk, what ends them, what is read off them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_grids import factors, load

from sweep.resources.gpu_sharing import probe_process_pool as module
from sweep.resources.gpu_sharing.probe_process_pool import ProbeProcessPool
from trainables.spec import spec_to_dict

RAISES = """
from torch import nn

class Own(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(2, num_channels)

    def forward(self, x):
        if x.requires_grad:
            print("a layer may print")
            raise RuntimeError("no such kernel")
        return super().forward(x)
"""


@pytest.fixture
def neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProbeProcessPool]:
    monkeypatch.setattr(module, "COUNTED_S", 0.2)
    found = ProbeProcessPool([str(tmp_path)])
    yield found
    found.close()


def workload(norm: str = "batchnorm", seeds: int = 1, width: int | None = 1) -> dict[str, Any]:
    trials = load(**factors(norm=[norm], batch_size=[8], seed=seeds)).trials
    specs = [spec_to_dict(trial.spec) for trial in trials]
    return {
        "specs": specs,
        "width": width,
        "data_root": None,
        "num_threads": 1,
        "device": "cpu",
        "cuda_graphs": False,
    }


def test_processes_are_measured_together_and_serve_the_next_cell(
    neighbours: ProbeProcessPool,
) -> None:
    probe = neighbours.probe(workload(), most=2)
    assert set(probe.steps_per_s) == {1, 2}
    assert all(rate > 0 for rate in probe.steps_per_s.values())
    assert (probe.process_bytes, probe.device_bytes) == (0, 0)  # of a GPU
    pids = [process.pid for process in neighbours._processes]
    assert len(pids) == 2
    assert neighbours.probe(workload(seeds=2, width=2), most=1).steps_per_s[1] > 0
    assert [process.pid for process in neighbours._processes] == pids


def test_a_cell_that_does_not_train_says_why_and_the_next_one_does(
    neighbours: ProbeProcessPool, tmp_path: Path
) -> None:
    (tmp_path / "raising.py").write_text(RAISES)
    with pytest.raises(RuntimeError, match="no such kernel"):
        neighbours.probe(workload("raising:Own"), most=1)
    assert neighbours.probe(workload(), most=1).steps_per_s[1] > 0


def test_a_process_that_is_killed_beside_the_first_ends_the_search(
    neighbours: ProbeProcessPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = ProbeProcessPool._started

    def second_dies(self: ProbeProcessPool) -> Any:
        process = started(self)
        if self._processes:
            process.kill()
        return process

    monkeypatch.setattr(ProbeProcessPool, "_started", second_dies)
    probe = neighbours.probe(workload(), most=8)
    assert probe.steps_per_s[2] == 0
    assert probe.trials_per_device() == 1
