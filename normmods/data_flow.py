"""Tracing of which convolutions the input of a norm comes from, by following one batch."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_MIXES_CHANNELS = re.compile(
    r"conv|linear$|matmul|^(add)?(b?mm|mv)$|baddbmm|einsum|tensordot|attention|_norm$|"
    r"^(lstm|gru|rnn_)|embedding"
)
"""Names of torch's functions that mix channels: a result no longer belongs to a convolution."""

_SCALES = re.compile(r"mul|div")
"""Names of torch's functions that may multiply by a broadcast gate or scale."""


@dataclass(frozen=True)
class Origin:
    """The convolutions from which a tensor comes.

    Attributes:
        convolutions: paths of the convolutions whose outputs the tensor is made of, by operations
            that neither mix channels nor normalise.
        is_joined: whether several tensors were combined: a sum, or a concatenation.
    """

    convolutions: frozenset[str] = frozenset()
    is_joined: bool = False


NO_ORIGIN = Origin()
"""The origin of a tensor that comes from no convolution."""


def trace_origins(
    model: nn.Module, norms: Mapping[str, nn.Module], example: Tensor
) -> dict[str, list[Origin]]:
    """Return the origin of each norm's input at each of its calls, by the norm's path.

    The model runs on `example` in evaluation, and if a norm was not called there, in training as
    well; a norm that is never called has no entry. Modes, buffers and torch's random state are
    restored.
    """
    found: dict[str, list[Origin]] = {}
    modes = {module: module.training for module in model.modules()}
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for is_training in (False, True):
                torch.manual_seed(0)
                if found.keys() != norms.keys():
                    model.train(is_training)
                    _trace_run(model, norms, example, found)
            for buffer, before in buffers:
                buffer.copy_(before)
    finally:
        for module, training in modes.items():
            module.training = training
    return found


def _trace_run(
    model: nn.Module,
    norms: Mapping[str, nn.Module],
    example: Tensor,
    found: dict[str, list[Origin]],
) -> None:
    """Run the model once and append the origin of each norm's input to `found`."""
    origin = _OriginTracker()

    def note_convolution(path: str) -> Callable[..., None]:
        """Return a callback that records the convolution at `path` as the origin of its outputs."""

        def note(_inputs: list[Tensor], outputs: list[Tensor]) -> None:
            """Record the convolution as the origin of each of its outputs."""
            for output in outputs:
                origin.record(output, Origin(frozenset((path,))))

        return note

    def note_norm(path: str) -> Callable[..., None]:
        """Return a callback that appends the origin of the input of the norm `path` to `found`."""

        def note(inputs: list[Tensor], outputs: list[Tensor]) -> None:
            """Append the input's origin to `found`; record `NO_ORIGIN` for the norm's outputs."""
            found.setdefault(path, []).append(origin.find(inputs[0]) if inputs else NO_ORIGIN)
            for output in outputs:
                origin.record(output, NO_ORIGIN)

        return note

    notes: list[tuple[nn.Module, Callable[..., None]]] = [
        (layer, note_norm(path)) for path, layer in norms.items()
    ]
    inside = {id(part) for norm in norms.values() for part in norm.modules()}
    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d) and id(layer) not in inside:
            notes.append((layer, note_convolution(path)))
    with _call_notes(notes, origin), origin:
        model(example)


@contextmanager
def _call_notes(
    notes: list[tuple[nn.Module, Callable[..., None]]], origin: _OriginTracker
) -> Iterator[None]:
    """Within the block, call each layer's callback in `notes` after every call of the layer."""

    def wrap_forward(forward: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        """Return `forward` followed by a call of `note` with inputs and outputs."""

        def call(*args: Any, **kwargs: Any) -> Any:
            """Call `forward`, then `note` with the tensors of its inputs and outputs."""
            inputs = find_tensors((args, kwargs))
            outputs = forward(*args, **kwargs)
            note(inputs, find_tensors(outputs))
            return outputs

        return call

    before = [vars(layer).get("forward") for layer, _ in notes]
    try:
        for layer, note in notes:
            layer.forward = wrap_forward(layer.forward, note)
        yield
    finally:
        for (layer, _), own in zip(notes, before, strict=True):
            vars(layer).pop("forward", None)
            if own is not None:  # set on the layer itself by the model
                layer.forward = own


class _OriginTracker(TorchFunctionMode):
    """Tracks the origins of tensors through every function of torch.

    An origin belongs to a storage, so that views share it; storages are kept alive, since a new
    one may otherwise have the address of an old one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._origins: dict[int, Origin] = {}
        self._kept: list[torch.UntypedStorage] = []

    def find(self, tensor: Tensor) -> Origin:
        """Return the tensor's origin, `NO_ORIGIN` if none is recorded."""
        return self._origins.get(tensor.untyped_storage()._cdata, NO_ORIGIN)

    def record(self, tensor: Tensor, origin: Origin) -> None:
        """Set the origin of the tensor and of all views of its storage."""
        storage = tensor.untyped_storage()
        self._origins[storage._cdata] = origin
        self._kept.append(storage)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        made = find_tensors(output)
        if made:
            name = getattr(func, "__name__", "")
            origin = self._combine_origins(name, find_tensors((args, kwargs)), made[0].shape)
            for tensor in made:
                self.record(tensor, origin)
        return output

    def _combine_origins(self, name: str, inputs: list[Tensor], shape: torch.Size) -> Origin:
        """Return the origin of a function's output of `shape` from its name and inputs."""
        if _MIXES_CHANNELS.search(name):
            return NO_ORIGIN
        if _SCALES.search(name):
            # What is broadcast is a gate or a scale, not a part of the product.
            inputs = [tensor for tensor in inputs if tensor.shape == shape]
        parts = {self.find(tensor) for tensor in inputs if tensor.dim() > 1}
        if len(parts) <= 1:
            return parts.pop() if parts else NO_ORIGIN
        convolutions = frozenset().union(*(part.convolutions for part in parts))
        return Origin(convolutions, is_joined=True)


def find_tensors(value: object) -> list[Tensor]:
    """Return the tensors in nested lists, tuples, dictionaries and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in find_tensors(item)]
    return []
