"""What becomes of memory that training has freed."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from functools import lru_cache

import torch

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""What glibc's `mallopt` can set, by its numbers in malloc.h."""

NEVER = 2**31 - 1
AS_LARGE_AS_ALLOWED = (2**30, 2**25)
"""Bytes of the largest block that is not the system's own; older releases take 32 MB at most."""


@lru_cache(maxsize=1)
def keep_freed() -> None:
    """Have this process keep what a training step frees for its next step.

    By default glibc hands the large blocks of activations and gradients back to the system after
    each step, and the next one gets them anew, page by page: a twelfth of ResNet-18's step on a
    CPU. The C libraries that have no `mallopt` are left alone.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(TRIM_THRESHOLD, NEVER)
        any(mallopt(MMAP_THRESHOLD, size) for size in AS_LARGE_AS_ALLOWED)


def give_back(device: str) -> None:
    """Return to the system what a trial that is gone has left; on a GPU, to other processes."""
    if device.startswith("cuda"):
        gc.collect()  # a captured graph holds its memory, and is held in a circle
        torch.cuda.empty_cache()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
