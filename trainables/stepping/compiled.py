"""A batch's loss and gradients by `torch.compile`, compiled once per cell and process.

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

from trainables import epoch
from trainables.stepping.compile_cache import cache_folder
from trainables.stepping.compile_support import missing_compiler

MAX_CACHED_CELLS = 32
"""Cells whose compiled steps a process keeps."""

INDUCTOR_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""The environment variable that names the folder in which torch's compiler keeps its output."""


MAX_REASON_LENGTH = 160
"""Characters of a compiler error that a message quotes."""


NO_AUTOCAST: AbstractContextManager[Any] = nullcontext()
"""A context that changes nothing."""


class NotCompilable(RuntimeError):  # noqa: N818 - a property of a layer
    """A model whose step cannot be compiled here; the one-line message says why."""


class NoCompiler(NotCompilable):
    """A machine without a compiler, on which no model's step can be compiled."""


class CompiledBatch:
    """A compiled `epoch.run_batch`, with forward and backward pass in one function.

    Autograd would compile them as two, and hand from one to the other what it saves: at batch
    size 2 that takes a third of a small network's step.

    Each object has its own code object: torch's compiler keeps compiled code by code object, and
    tries the guards of one after the other.

    Attributes:
        fallback_reason: why the batches are computed eagerly after all; None while compiled.
    """

    def __init__(self) -> None:
        code = _compute_gradients.__code__.replace(co_name="batch_of_a_cell")
        own = FunctionType(code, _compute_gradients.__globals__, "batch_of_a_cell")
        self._run = torch.compile(own, fullgraph=True, dynamic=False)
        self._trainable: WeakKeyDictionary[nn.Module, list[nn.Parameter]] = WeakKeyDictionary()
        self.fallback_reason: str | None = None

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        batches_per_step: int,
        precision: AbstractContextManager[Any],
    ) -> tuple[Tensor, Tensor]:
        """Return what `epoch.run_batch` returns, within rounding."""
        if self.fallback_reason is not None:
            return epoch.run_batch(model, x, y, batches_per_step, precision)
        from torch._dynamo import exc

        try:
            with precision:
                loss, logits, gradients = self._run(model, x, y, batches_per_step)
        except (exc.TorchDynamoException, exc.FailOnRecompileLimitHit) as error:
            self.fallback_reason = _first_line(error)  # raised before anything was computed
            return epoch.run_batch(model, x, y, batches_per_step, precision)
        if model not in self._trainable:
            self._trainable[model] = _trainable_parameters(model)
        for parameter, gradient in zip(self._trainable[model], gradients, strict=True):
            if gradient is not None:
                _accumulate_gradient(parameter, gradient)
        return loss, logits


def _compute_gradients(
    model: nn.Module, x: Tensor, y: Tensor, batches_per_step: int
) -> tuple[Tensor, Tensor, tuple[Tensor | None, ...]]:
    """Return a batch's loss, logits and gradients; torch's compiler compiles this function."""
    loss, logits = epoch.compute_loss(model, x, y)
    with torch.autocast(x.device.type, enabled=False):
        gradients = torch.autograd.grad(
            epoch.scale_to_step(loss, batches_per_step),
            _trainable_parameters(model),
            allow_unused=True,
        )
    return loss.detach(), logits, gradients


def _trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that require a gradient."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _accumulate_gradient(parameter: nn.Parameter, gradient: Tensor) -> None:
    """Add a gradient to `parameter.grad`, in the parameter's memory layout, as autograd does.

    The optimizer relies on this layout.
    """
    if parameter.grad is not None:
        parameter.grad += gradient
    elif gradient.stride() == parameter.stride():
        parameter.grad = gradient
    else:
        parameter.grad = torch.empty_like(parameter).copy_(gradient)


_compiled_cells: dict[str, CompiledBatch] = {}


def is_compiled_in_process(cell: str) -> bool:
    """Whether the cell's step has been compiled in this process."""
    return cell in _compiled_cells


def compile_batch(
    cell: str,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    batches_per_step: int = 1,
    precision: AbstractContextManager[Any] = NO_AUTOCAST,
) -> CompiledBatch:
    """Return the cell's compiled batch function, compiled with the given batch if needed.

    The batch is run on a copy of the model: neither its state nor a random stream changes.

    Args:
        cell: the cell's key (`cell_key`).
        model: the model.
        x: images of a batch.
        y: labels of a batch.
        batches_per_step: batches whose gradients a step averages.
        precision: the context of forward passes.

    Raises:
        NotCompilable: the step cannot be compiled.
        NoCompiler: the machine has no compiler.
    """
    missing = missing_compiler(x.device.type)
    if missing is not None:
        raise NoCompiler(missing)
    _configure_compiler()
    if cell not in _compiled_cells and len(_compiled_cells) >= MAX_CACHED_CELLS:
        _clear_compiled_cells()
    try:
        with _silence_compiler(), _preserve_random_state(x.device):
            scratch = copy.deepcopy(model)
            return _compile_cell(
                cell, lambda found: found(scratch, x, y, batches_per_step, precision)
            )
    except NotCompilable:
        raise
    except Exception as error:
        kept = f"compiled steps are kept in {cache_folder()}: delete it if it is damaged"
        raise NotCompilable(f"{_first_line(error)} ({kept})") from error


def _compile_cell(cell: str, attempt: Callable[[CompiledBatch], object]) -> CompiledBatch:
    """Run the batch until it is compiled, and check that another run compiles nothing more."""
    found = _compiled_cells.pop(cell, None) or CompiledBatch()
    attempt(found)
    if found.fallback_reason is not None:  # of too many models of one cell that are not alike
        found = CompiledBatch()
        attempt(found)
    before = _num_compilations()
    attempt(found)
    if found.fallback_reason is not None:
        raise NotCompilable(found.fallback_reason)
    if _num_compilations() != before:
        raise NotCompilable("a layer does something else at every step")
    _compiled_cells[cell] = found
    return found


def _num_compilations() -> int:
    """Return the number of graphs that torch's compiler has compiled in this process."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def _configure_compiler() -> None:
    """Import torch's compiler and configure it.

    It gets no pool of processes, which would outlive their trial; random draws equal to those of
    eager execution; and a cache folder in which later processes find the compiled code.
    """
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    import torch._dynamo.config as dynamo
    import torch._inductor.config as inductor
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    # The default, below /tmp, is what torchvision leaves there when it is imported.
    if os.environ.get(INDUCTOR_CACHE_VARIABLE, default_cache_dir()) == default_cache_dir():
        os.environ[INDUCTOR_CACHE_VARIABLE] = str(cache_folder() / "inductor")

    inductor.compile_threads = 1
    inductor.fallback_random = True
    dynamo.trace_autograd_ops = True


def _clear_compiled_cells() -> None:
    """Drop all compiled steps of this process."""
    _compiled_cells.clear()
    torch._dynamo.reset()


@contextmanager
def _silence_compiler() -> Iterator[None]:
    """Suppress logging and warnings within the block; errors that matter are raised."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _preserve_random_state(device: torch.device) -> Iterator[None]:
    """Restore torch's random states of CPU and device after the block."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def _first_line(error: BaseException) -> str:
    """Return the error's type and the first line of its message; torch's have many pages."""
    cause = getattr(error, "inner_exception", None) or error
    lines = str(cause).strip().splitlines() or [""]
    line = f"{type(cause).__name__}: {lines[0].strip()}"
    return line if len(line) <= MAX_REASON_LENGTH else f"{line[: MAX_REASON_LENGTH - 1]}…"
