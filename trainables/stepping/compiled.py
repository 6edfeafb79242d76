"""A batch's loss and gradients by `torch.compile`, once per cell and process.

torch's compiler is imported by the first compilation: that takes seconds.
"""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from trainables.stepping import eager
from trainables.stepping.compile_cache import cache_folder
from trainables.stepping.compile_support import missing_compiler

MOST_KEPT = 32
"""Cells whose compiled steps a process keeps."""

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"

LONGEST_REASON = 160

AS_IT_IS: AbstractContextManager[Any] = nullcontext()


class NotCompilable(RuntimeError):  # noqa: N818 - a property of a layer
    """A model whose step cannot be compiled here; the one-line message says why."""


class NoCompiler(NotCompilable):
    """Of a machine, on which no model's can."""


class CompiledBatch:
    """`eager.batch`, compiled: forward and backward are one function.

    Autograd would compile them as two, and hand from one to the other what it saves: at batch
    size 2 that takes a third of a small network's step.

    Each has a code object of its own: torch's compiler keeps what it compiled by code object, and
    tries the guards of one after the other.

    Attributes:
        gave_up: why batches of this one are computed eagerly after all.
    """

    def __init__(self) -> None:
        code = _with_gradients.__code__.replace(co_name="batch_of_a_cell")
        own = FunctionType(code, _with_gradients.__globals__, "batch_of_a_cell")
        self._run = torch.compile(own, fullgraph=True, dynamic=False)
        self._learnt: WeakKeyDictionary[nn.Module, list[nn.Parameter]] = WeakKeyDictionary()
        self.gave_up: str | None = None

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        batches_per_step: int,
        precision: AbstractContextManager[Any],
    ) -> tuple[Tensor, Tensor]:
        """As `eager.batch`; within rounding the same."""
        if self.gave_up is not None:
            return eager.batch(model, x, y, batches_per_step, precision)
        from torch._dynamo import exc

        try:
            with precision:
                loss, logits, gradients = self._run(model, x, y, batches_per_step)
        except (exc.TorchDynamoException, exc.FailOnRecompileLimitHit) as error:
            self.gave_up = _short(error)  # raised before anything was computed
            return eager.batch(model, x, y, batches_per_step, precision)
        if model not in self._learnt:
            self._learnt[model] = _learnt(model)
        for parameter, gradient in zip(self._learnt[model], gradients, strict=True):
            if gradient is not None:
                _add(parameter, gradient)
        return loss, logits


def _with_gradients(
    model: nn.Module, x: Tensor, y: Tensor, batches_per_step: int
) -> tuple[Tensor, Tensor, tuple[Tensor | None, ...]]:
    """A batch's loss, logits and gradients, which torch's compiler makes one function of."""
    loss, logits = eager.forward(model, x, y)
    with torch.autocast(x.device.type, enabled=False):
        gradients = torch.autograd.grad(
            eager.mean_over_step(loss, batches_per_step), _learnt(model), allow_unused=True
        )
    return loss.detach(), logits, gradients


def _learnt(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _add(parameter: nn.Parameter, gradient: Tensor) -> None:
    """As autograd does it: the optimizer relies on a gradient that lies as its parameter does."""
    if parameter.grad is not None:
        parameter.grad += gradient
    elif gradient.stride() == parameter.stride():
        parameter.grad = gradient
    else:
        parameter.grad = torch.empty_like(parameter).copy_(gradient)


_kept: dict[str, CompiledBatch] = {}


def is_ready(cell: str) -> bool:
    """Whether the cell's step has been compiled in this process."""
    return cell in _kept


def compiled_batch(
    cell: str,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    batches_per_step: int = 1,
    precision: AbstractContextManager[Any] = AS_IT_IS,
) -> CompiledBatch:
    """The cell's batches, compiled by one of them; no state and no random stream moves.

    Raises `NotCompilable`, and `NoCompiler` where no cell's can be.
    """
    missing = missing_compiler(x.device.type)
    if missing is not None:
        raise NoCompiler(missing)
    _prepare()
    if cell not in _kept and len(_kept) >= MOST_KEPT:
        _forget()
    try:
        with _quiet(), _streams_kept(x.device):
            scratch = copy.deepcopy(model)
            return _compiled(cell, lambda found: found(scratch, x, y, batches_per_step, precision))
    except NotCompilable:
        raise
    except Exception as error:
        kept = f"compiled steps are kept in {cache_folder()}: delete it if it is damaged"
        raise NotCompilable(f"{_short(error)} ({kept})") from error


def _compiled(cell: str, attempt: Callable[[CompiledBatch], object]) -> CompiledBatch:
    found = _kept.pop(cell, None) or CompiledBatch()
    attempt(found)
    if found.gave_up is not None:  # of too many models of one cell that are not alike
        found = CompiledBatch()
        attempt(found)
    before = _num_compilations()
    attempt(found)
    if found.gave_up is not None:
        raise NotCompilable(found.gave_up)
    if _num_compilations() != before:
        raise NotCompilable("a layer does something else at every step")
    _kept[cell] = found
    return found


def _num_compilations() -> int:
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def _prepare() -> None:
    """Import torch's compiler as it is wanted here.

    Without a pool of processes, which would outlive their trial; with random draws that are those
    of eager execution; and with what it compiles kept where later processes find it.
    """
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    import torch._dynamo.config as dynamo
    import torch._inductor.config as inductor
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    # The default, below /tmp, is what torchvision leaves there when it is imported.
    if os.environ.get(CACHE_VARIABLE, default_cache_dir()) == default_cache_dir():
        os.environ[CACHE_VARIABLE] = str(cache_folder() / "inductor")

    inductor.compile_threads = 1
    inductor.fallback_random = True
    dynamo.trace_autograd_ops = True


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
