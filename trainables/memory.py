"""Control of how the C library and torch return freed memory to the system."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

STATM = Path("/proc/self/statm")
"""File of this process's memory sizes in pages; the second number is the resident size."""


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Numbers of two parameters of glibc's `mallopt`, from malloc.h."""

DISABLED = 2**31 - 1
"""Value of `M_TRIM_THRESHOLD` that prevents trimming."""

MAX_MMAP_BYTES = (2**30, 2**25)
"""Values to try for `M_MMAP_THRESHOLD`, the size from which on a block is mapped by itself: older
releases of glibc accept 32 MB at most."""

MIN_TRIM_BYTES = 2**28
"""Growth in bytes from which on memory is returned; less is not worth the milliseconds it takes."""


@lru_cache(maxsize=1)
def retain_allocator_memory() -> None:
    """Make the C library keep memory that a training step frees, for use in the next step.

    By default glibc returns the large blocks of activations and gradients to the system after
    each step, and the next step gets them anew, page by page: a twelfth of ResNet-18's step on a
    CPU. C libraries without `mallopt` are left unchanged.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(TRIM_THRESHOLD, DISABLED)
        any(mallopt(MMAP_THRESHOLD, size) for size in MAX_MMAP_BYTES)


def trim_allocator_memory(device: str, before: int | None) -> None:
    """Return the memory of a finished trial to the system, and GPU memory to other processes.

    Args:
        device: the trial's device.
        before: bytes of resident memory when the trial began; None if unknown.
    """
    if device.startswith("cuda"):
        import torch

        gc.collect()  # a captured graph holds its memory, and is held in a circle
        torch.cuda.empty_cache()
    now = resident_bytes()
    if before is not None and now is not None and now - before > MIN_TRIM_BYTES:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int | None:
    """Return the bytes of this process's resident memory; None on a system without `/proc`."""
    if not STATM.exists():
        return None
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
