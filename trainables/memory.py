"""What becomes of memory that training has freed."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

STATM = Path("/proc/self/statm")

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""What glibc's `mallopt` can set, by its numbers in malloc.h."""

NEVER = 2**31 - 1
AS_LARGE_AS_ALLOWED = (2**30, 2**25)
"""Bytes of the largest block that is not the system's own; older releases take 32 MB at most."""

WORTH_GIVING_BACK = 2**28
"""Bytes that another process might miss; fewer are not worth the milliseconds that it takes."""


@lru_cache(maxsize=1)
def retain_allocator_memory() -> None:
    """Have this process keep what a training step frees for its next step.

    By default glibc hands the large blocks of activations and gradients back to the system after
    each step, and the next one gets them anew, page by page: a twelfth of ResNet-18's step on a
    CPU. The C libraries that have no `mallopt` are left alone.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(TRIM_THRESHOLD, NEVER)
        any(mallopt(MMAP_THRESHOLD, size) for size in AS_LARGE_AS_ALLOWED)


def trim_allocator_memory(device: str, before: int | None) -> None:
    """Return to the system what a trial that is gone has left; on a GPU, to other processes.

    `before` are the bytes that were resident when the trial began, if that is known.
    """
    if device.startswith("cuda"):
        import torch

        gc.collect()  # a captured graph holds its memory, and is held in a circle
        torch.cuda.empty_cache()
    now = resident_bytes()
    if before is not None and now is not None and now - before > WORTH_GIVING_BACK:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int | None:
    """Bytes of this process's resident memory; None where the system has no `/proc`."""
    if not STATM.exists():
        return None
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
