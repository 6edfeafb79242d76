"""Which convolutions the input of a norm comes from, found by following one batch."""

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
"""Functions of torch whose output is no longer a convolution's, channel by channel."""

_SCALES = re.compile(r"mul|div")


@dataclass(frozen=True)
class Origin:
    """Where a tensor comes from.

    Attributes:
        convolutions: paths of the convolutions of whose outputs it is made, by operations that
            neither mix channels nor normalise.
        is_joined: whether it is made of several tensors: a sum, or a concatenation.
    """

    convolutions: frozenset[str] = frozenset()
    is_joined: bool = False


NOWHERE = Origin()


def origins(
    model: nn.Module, norms: Mapping[str, nn.Module], example: Tensor
) -> dict[str, list[Origin]]:
    """The origin of each norm's input, by path, at each of its calls; a norm not called has none.

    The model runs on `example` in evaluation, and where a norm was not called there, in training
    as well. Its modes, buffers and torch's random state are left as they were.
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
                    _follow(model, norms, example, found)
            for buffer, before in buffers:
                buffer.copy_(before)
    finally:
        for module, training in modes.items():
            module.training = training
    return found


def _follow(
    model: nn.Module,
    norms: Mapping[str, nn.Module],
    example: Tensor,
    found: dict[str, list[Origin]],
) -> None:
    origin = _Origins()

    def of_convolution(path: str) -> Callable[..., None]:
        def note(_inputs: list[Tensor], outputs: list[Tensor]) -> None:
            for output in outputs:
                origin.put(output, Origin(frozenset((path,))))

        return note

    def of_norm(path: str) -> Callable[..., None]:
        def note(inputs: list[Tensor], outputs: list[Tensor]) -> None:
            found.setdefault(path, []).append(origin.of(inputs[0]) if inputs else NOWHERE)
            for output in outputs:
                origin.put(output, NOWHERE)

        return note

    notes: list[tuple[nn.Module, Callable[..., None]]] = [
        (layer, of_norm(path)) for path, layer in norms.items()
    ]
    inside = {id(part) for norm in norms.values() for part in norm.modules()}
    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d) and id(layer) not in inside:
            notes.append((layer, of_convolution(path)))
    with _told(notes, origin), origin:
        model(example)


@contextmanager
def _told(notes: list[tuple[nn.Module, Callable[..., None]]], origin: _Origins) -> Iterator[None]:
    """Tell of every call of a layer, however the model makes it: its inputs and its outputs."""

    def telling(forward: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            inputs = tensors_in((args, kwargs))
            outputs = forward(*args, **kwargs)
            note(inputs, tensors_in(outputs))
            return outputs

        return call

    before = [vars(layer).get("forward") for layer, _ in notes]
    try:
        for layer, note in notes:
            layer.forward = telling(layer.forward, note)
        yield
    finally:
        for (layer, _), own in zip(notes, before, strict=True):
            vars(layer).pop("forward", None)
            if own is not None:  # somebody's own, set on the layer itself
                layer.forward = own


class _Origins(TorchFunctionMode):
    """Passes the origins of tensors on through every function of torch.

    An origin belongs to a storage, so that views share it; storages are kept alive, since a new
    one may otherwise take the place of an old one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._origins: dict[int, Origin] = {}
        self._kept: list[torch.UntypedStorage] = []

    def of(self, tensor: Tensor) -> Origin:
        return self._origins.get(tensor.untyped_storage()._cdata, NOWHERE)

    def put(self, tensor: Tensor, origin: Origin) -> None:
        storage = tensor.untyped_storage()
        self._origins[storage._cdata] = origin
        self._kept.append(storage)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        made = tensors_in(output)
        if made:
            name = getattr(func, "__name__", "")
            origin = self._joined(name, tensors_in((args, kwargs)), made[0].shape)
            for tensor in made:
                self.put(tensor, origin)
        return output

    def _joined(self, name: str, inputs: list[Tensor], shape: torch.Size) -> Origin:
        if _MIXES_CHANNELS.search(name):
            return NOWHERE
        if _SCALES.search(name):
            # What is broadcast is a gate or a scale, not a part of the product.
            inputs = [tensor for tensor in inputs if tensor.shape == shape]
        parts = {self.of(tensor) for tensor in inputs if tensor.dim() > 1}
        if len(parts) <= 1:
            return parts.pop() if parts else NOWHERE
        convolutions = frozenset().union(*(part.convolutions for part in parts))
        return Origin(convolutions, is_joined=True)


def tensors_in(value: object) -> list[Tensor]:
    """The tensors in nested lists, tuples, dictionaries and dataclasses, in their order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in tensors_in(item)]
    return []
