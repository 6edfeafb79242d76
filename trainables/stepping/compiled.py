"""A batch's loss by `torch.compile`, once per cell and process.

torch's compiler is imported by the first compilation: that takes seconds.
"""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType

import torch
from torch import Tensor, nn

from trainables.stepping import eager
from trainables.stepping.ability import missing_compiler
from trainables.stepping.notes import cache_folder

MOST_KEPT = 32
"""Cells whose compiled steps a process keeps."""

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"

LONGEST_REASON = 160


class NotCompilable(RuntimeError):  # noqa: N818 - a property of a layer or a machine
    """A model whose step cannot be compiled here; the one-line message says why."""


class CompiledForward:
    """`eager.forward`, compiled.

    Each has a code object of its own: torch's compiler keeps what it compiled by code object, and
    tries the guards of one after the other.

    Attributes:
        gave_up: why batches of this one are computed eagerly after all.
    """

    def __init__(self) -> None:
        code = eager.forward.__code__.replace(co_name="forward_of_a_cell")
        own = FunctionType(code, eager.forward.__globals__, "forward_of_a_cell")
        self._run = torch.compile(own, fullgraph=True, dynamic=False)
        self.gave_up: str | None = None

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """As `eager.forward`; within rounding the same."""
        if self.gave_up is not None:
            return eager.forward(model, x, y)
        from torch._dynamo import exc

        try:
            return self._run(model, x, y)  # type: ignore[no-any-return]
        except (exc.TorchDynamoException, exc.FailOnRecompileLimitHit) as error:
            self.gave_up = _short(error)  # raised before anything was computed
            return eager.forward(model, x, y)


_kept: dict[str, CompiledForward] = {}


def is_ready(cell: str) -> bool:
    """Whether the cell's step has been compiled in this process."""
    return cell in _kept


def compiled_forward(cell: str, model: nn.Module, x: Tensor, y: Tensor) -> CompiledForward:
    """The cell's forward, compiled by a batch of it; no state and no random stream moves.

    Raises `NotCompilable`.
    """
    missing = missing_compiler(x.device.type)
    if missing is not None:
        raise NotCompilable(missing)
    _prepare()
    if cell not in _kept and len(_kept) >= MOST_KEPT:
        _forget()
    try:
        with _quiet(), _streams_kept(x.device):
            return _compiled(cell, copy.deepcopy(model), x, y)
    except NotCompilable:
        raise
    except Exception as error:
        raise NotCompilable(_short(error)) from error


def _compiled(cell: str, scratch: nn.Module, x: Tensor, y: Tensor) -> CompiledForward:
    found = _kept.pop(cell, None) or CompiledForward()
    _try(found, scratch, x, y)
    if found.gave_up is not None:  # of too many models of one cell that are not alike
        found = CompiledForward()
        _try(found, scratch, x, y)
    before = _num_compilations()
    _try(found, scratch, x, y)
    if found.gave_up is not None:
        raise NotCompilable(found.gave_up)
    if _num_compilations() != before:
        raise NotCompilable("a layer does something else at every step")
    _kept[cell] = found
    return found


def _try(found: CompiledForward, scratch: nn.Module, x: Tensor, y: Tensor) -> None:
    loss, _ = found(scratch, x, y)
    eager.backward(loss)


def _num_compilations() -> int:
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def _prepare() -> None:
    """Import torch's compiler as it is wanted here.

    Without a pool of processes, which would outlive their trial; with random draws that are those
    of eager execution; and with what it compiles kept where later processes find it.
    """
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    import torch._inductor.config as inductor
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    # The default, below /tmp, is what torchvision leaves there when it is imported.
    if os.environ.get(CACHE_VARIABLE, default_cache_dir()) == default_cache_dir():
        os.environ[CACHE_VARIABLE] = str(cache_folder() / "inductor")

    inductor.compile_threads = 1
    inductor.fallback_random = True


def _forget() -> None:
    _kept.clear()
    torch._dynamo.reset()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what torch's compiler has to say: what matters is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _streams_kept(device: torch.device) -> Iterator[None]:
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def _short(error: BaseException) -> str:
    """The error's first line; torch's go on for pages."""
    cause = getattr(error, "inner_exception", None) or error
    lines = str(cause).strip().splitlines() or [""]
    line = f"{type(cause).__name__}: {lines[0].strip()}"
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 1]}…"
