"""Settings of torch under which a GPU computes the same bits every time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.backends import cudnn

from trainables.errors import NotDeterministic

CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
"""The environment variable from which cuBLAS reads its workspace."""

TORCH_REFUSAL = " does not have a deterministic implementation"
"""Part of torch's message for an operation without a deterministic algorithm."""

CUBLAS_REFUSAL = "not deterministic because it uses CuBLAS"
"""Part of torch's message for a matrix product whose workspace is not set."""


def configure_cublas(device: torch.device) -> None:
    """Set cuBLAS's workspace variable, unless it is set, before the process first uses a GPU.

    torch reads the variable once in a process, at the first matrix product, and keeps the
    workspace. So the workspace cannot be set for one trial and reset for the next: all trials of
    a process on a GPU have the same one.
    """
    if device.type == "cuda":
        os.environ.setdefault(CUBLAS_VARIABLE, ":4096:8")


@contextmanager
def deterministic_algorithms(enabled: bool) -> Iterator[None]:
    """Within the block, if `enabled`, use only algorithms that give the same bits every time.

    After the block, however it ends, torch's settings are what they were before. On a CPU the
    setting changes no bit of a trial: the order in which torch adds there follows from the shapes
    and the number of threads alone. On a GPU threads add in the order in which they finish, and
    cuDNN may choose another convolution; within the block neither happens. Equal bits then need the
    same kind of GPU and the same versions.

    `torch.use_deterministic_algorithms` sets the same switch, but imports torch's compiler.

    Raises:
        NotDeterministic: a layer uses an operation that has no deterministic algorithm.
    """
    if not enabled:
        yield
        return
    mode = torch.get_deterministic_debug_mode()
    was = cudnn.deterministic, cudnn.benchmark
    torch.set_deterministic_debug_mode("error")
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    except RuntimeError as error:
        refusal = _translate_refusal(error)
        if refusal is None:
            raise
        raise refusal from error
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.deterministic, cudnn.benchmark = was


def _translate_refusal(error: RuntimeError) -> NotDeterministic | None:
    """Return the `NotDeterministic` for a refusal by torch; None for any other error."""
    operation, refused, _ = str(error).partition(TORCH_REFUSAL)
    if refused:
        return NotDeterministic(
            f"`deterministic: true` cannot be kept: {operation.split()[-1]}, which a layer of this "
            f"trial uses, has no deterministic algorithm here; train it with "
            f"`deterministic: false`, or without that layer"
        )
    if CUBLAS_REFUSAL in str(error):
        return NotDeterministic(
            f"`deterministic: true` cannot be kept with {CUBLAS_VARIABLE}="
            f"{os.environ.get(CUBLAS_VARIABLE, '')!r}: set it to ':4096:8', before the process "
            f"first uses the GPU"
        )
    return None
