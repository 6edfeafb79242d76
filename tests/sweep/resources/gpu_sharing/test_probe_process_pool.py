"""Real processes on the CPU: how they talk, what ends them, what is read off them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_grids import factors, load

from sweep.resources.gpu_sharing import probe_process_pool as module
from sweep.resources.gpu_sharing.probe_process import ProbeProcess, WorkloadSpec
from sweep.resources.gpu_sharing.probe_process_pool import ProbeProcessPool

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
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProbeProcessPool]:
    monkeypatch.setattr(module, "TRAINING_S", 0.2)
    found = ProbeProcessPool([str(tmp_path)])
    yield found
    found.close()


def workload(norm: str = "batchnorm", seeds: int = 1, width: int | None = 1) -> WorkloadSpec:
    trials = load(**factors(norm=[norm], batch_size=[8], seed=seeds)).trials
    specs = tuple(trial.spec for trial in trials)
    return WorkloadSpec(specs, width, None, num_threads=1, device="cpu", cuda_graphs=False)


def test_processes_are_measured_together_and_serve_the_next_cell(
    pool: ProbeProcessPool,
) -> None:
    probe = pool.probe(workload(), most=2)
    assert set(probe.steps_per_s) == {1, 2}
    assert all(rate > 0 for rate in probe.steps_per_s.values())
    assert (probe.process_bytes, probe.device_bytes) == (0, 0)  # of a GPU
    pids = [process.pid for process in pool._processes]
    assert len(pids) == 2
    assert pool.probe(workload(seeds=2, width=2), most=1).steps_per_s[1] > 0
    assert [process.pid for process in pool._processes] == pids


def test_a_cell_that_does_not_train_says_why_and_the_next_one_does(
    pool: ProbeProcessPool, tmp_path: Path
) -> None:
    (tmp_path / "raising.py").write_text(RAISES)
    with pytest.raises(RuntimeError, match="no such kernel"):
        pool.probe(workload("raising:Own"), most=1)
    assert pool.probe(workload(), most=1).steps_per_s[1] > 0


def test_a_process_that_is_killed_beside_the_first_ends_the_search(
    pool: ProbeProcessPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = ProbeProcessPool._start_process

    def start_dying(self: ProbeProcessPool) -> ProbeProcess:
        process = start(self)
        if self._processes:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
        return process

    monkeypatch.setattr(ProbeProcessPool, "_start_process", start_dying)
    probe = pool.probe(workload(), most=8)
    assert probe.steps_per_s[2] == 0
    assert probe.trials_per_device() == 1


def test_a_process_that_does_not_answer_is_given_up(
    pool: ProbeProcessPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROBE_TIMEOUT_S", 0.01)
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="a process does not answer"):
        pool.probe(workload(), most=1)
    assert time.monotonic() - begun < 60
    assert pool._processes == []


PARENT = """
import time
from sweep.resources.gpu_sharing.probe_process import ProbeProcess

process = ProbeProcess()
process._executor.submit(time.sleep, 0).result()
print(process.pid, flush=True)
process._executor.submit(time.sleep, 600)
time.sleep(600)
"""


def test_processes_end_with_a_killed_parent() -> None:
    path = os.pathsep.join(sys.path)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # where Python's resource tracker tells of semaphores
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 15
    while is_running(pid):
        assert time.monotonic() < deadline, "it goes on"
        time.sleep(0.05)
    parent.stdout.close()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
