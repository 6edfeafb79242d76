"""Algorithms that give the same bits every time, on a GPU too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.backends import cudnn

from trainables.errors import NotDeterministic

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
REFUSED = " does not have a deterministic implementation"
REFUSED_CUBLAS = "not deterministic because it uses CuBLAS"


def prepare(device: torch.device) -> None:
    """Choose cuBLAS's workspace, before this process uses the GPU for the first time.

    torch reads the variable once in a process, at whichever trial's first matrix product, and
    keeps the workspace. So it cannot be set for one trial and taken back for the next: every trial
    on a GPU has the same one, and a worker that is used again the one it began with. What
    the environment says already stays.
    """
    if device.type == "cuda":
        os.environ.setdefault(WORKSPACE, ":4096:8")


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Within the block, where it is wanted, only algorithms that give the same bits every time.

    After it, however it ends, torch's settings are what they were. On a CPU no bit of a trial
    depends on it: the order in which torch adds there follows from the shapes and the number of
    threads alone. On a GPU threads add in the order in which they finish, and cuDNN may take
    another convolution; within the block neither happens. The same bits then take the same kind
    of GPU and the same versions.

    `torch.use_deterministic_algorithms` turns the same switch, but imports torch's compiler.

    Raises `NotDeterministic` where a layer uses an operation that has no such algorithm.
    """
    if not wanted:
        yield
        return
    mode = torch.get_deterministic_debug_mode()
    was = cudnn.deterministic, cudnn.benchmark
    torch.set_deterministic_debug_mode("error")
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    except RuntimeError as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        raise refusal from error
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.deterministic, cudnn.benchmark = was


def _refusal(error: RuntimeError) -> NotDeterministic | None:
    """The error in our words, if it is torch's refusal of an operation."""
    operation, refused, _ = str(error).partition(REFUSED)
    if refused:
        return NotDeterministic(
            f"`deterministic: true` cannot be kept: {operation.split()[-1]}, which a layer of this "
            f"trial uses, has no deterministic algorithm here; train it with "
            f"`deterministic: false`, or without that layer"
        )
    if REFUSED_CUBLAS in str(error):
        return NotDeterministic(
            f"`deterministic: true` cannot be kept with {WORKSPACE}="
            f"{os.environ.get(WORKSPACE, '')!r}: set it to ':4096:8', before the process "
            f"first uses the GPU"
        )
    return None
