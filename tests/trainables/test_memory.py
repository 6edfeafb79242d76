"""What a step frees is there for the next one, and goes back once the trial is gone."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
from trainables.memory import (trim_allocator_memory, retain_allocator_memory, resident_bytes)

def step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(num_bytes // 4) for num_bytes in (2**28, 2**26, 2**23, 2**17)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
least = resident_bytes()
step(), step()
print(step())
retain_allocator_memory()
step(), step()
print(step())
print(resident_bytes() - least)
trim_allocator_memory("cpu", least)
print(resident_bytes() - least)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_pages_are_kept_between_steps_and_given_back_after() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    by_default, kept, held, left = map(int, done.stdout.split())
    assert by_default > 10_000, "without the settings this says nothing"
    assert kept < 100
    assert held > 2**28 > 8 * left
