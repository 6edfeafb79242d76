from __future__ import annotations

import mmap
import time
from pathlib import Path

import pytest
import torch
from small_grids import load, metrics, record_of

from sweep.execution.resource_usage import ProcessUsage
from sweep.records.record import parse_record
from trainables import memory


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_reading_is_of_the_time_since_the_last_one() -> None:
    taken = ProcessUsage("cpu")
    burn(0.3)
    began = time.process_time(), time.monotonic()
    busy = taken.read()["process_cpu_percentage"]
    burn(0.001)
    time.sleep(0.5)
    idle = taken.read()["process_cpu_percentage"]
    cpu, wall = time.process_time() - began[0], time.monotonic() - began[1]
    assert idle < busy
    assert idle == pytest.approx(100 * cpu / wall, abs=2)


def test_memory_grows_with_what_is_held() -> None:
    taken = ProcessUsage("cpu")
    before = taken.read()["process_memory_megabytes"]
    # Straight from the system: the C library may have as much left of what was freed.
    with mmap.mmap(-1, 64_000_000) as held:
        held.write(b"x" * len(held))
        after = taken.read()["process_memory_megabytes"]
    assert 55 < after - before < 200


def test_memory_is_left_out_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "STATM", Path("nowhere"))
    assert set(ProcessUsage("cpu").read()) == {"process_cpu_percentage"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpus_peak_is_that_of_the_attempt() -> None:
    held = torch.ones(64_000_000 // 4, device="cuda")
    del held
    taken = ProcessUsage("cuda")
    held = torch.ones(16_000_000 // 4, device="cuda")
    assert 15 < taken.read()["process_gpu_memory_peak_megabytes"] < 60
    assert held.numel() == 4_000_000


def test_a_record_holds_a_value_per_epoch_and_keeps_the_first() -> None:
    record = record_of(load().trials[0], epochs=1)
    record.add_epoch(metrics(2), {"process_cpu_percentage": 90.0})
    record.add_epoch(metrics(3), {"process_cpu_percentage": 80.0, "process_memory_megabytes": 1.0})
    record.add_epoch(metrics(2), {"process_cpu_percentage": 10.0})  # trained a second time
    assert record.system == {
        "process_cpu_percentage": [None, 90.0, 80.0],
        "process_memory_megabytes": [None, None, 1.0],
    }
    assert parse_record(record.to_json(), "a file") == record
