"""Which layers a forward pass calls and with what, however the model calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from normmods.data_flow import tensors_in


@dataclass
class Failure:
    """The innermost layer that raised, and the shape of its input where that has a tensor."""

    error: Exception
    path: str
    layer: nn.Module
    shape: torch.Size | None


@dataclass
class Calls:
    """What was seen of a model's layers, by their paths.

    Attributes:
        shapes: of the first tensor among the arguments of each call that had one, without repeats.
        called: paths of the layers that were called.
        outputs: what the layers to `keep` returned last.
        failure: where an exception came from.
    """

    keep: frozenset[str] = frozenset()
    shapes: dict[str, list[torch.Size]] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    outputs: dict[str, object] = field(default_factory=dict)
    failure: Failure | None = None

    def follow(
        self, path: str, layer: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Call a layer's `forward` and note the call."""
        self.called.add(path)
        tensors = tensors_in((args, kwargs))
        shape = tensors[0].shape if tensors else None
        seen = self.shapes.setdefault(path, [])
        if shape is not None and shape not in seen:
            seen.append(shape)
        try:
            output = forward(*args, **kwargs)
        except Exception as error:
            if self.failure is None or self.failure.error is not error:
                self.failure = Failure(error, path, layer, shape)
            raise
        if path in self.keep:
            self.outputs[path] = output
        return output


@contextmanager
def followed(layers: Mapping[str, nn.Module], calls: Calls) -> Iterator[None]:
    """Note every call of the layers, also of their `forward` alone."""

    def following(path: str, layer: nn.Module) -> Callable[..., Any]:
        forward = layer.forward

        def call(*args: Any, **kwargs: Any) -> Any:
            return calls.follow(path, layer, forward, *args, **kwargs)

        return call

    ours = {
        path: layer
        for path, layer in layers.items()
        if not isinstance(layer, torch.jit.ScriptModule)
    }
    before = {path: vars(layer).get("forward") for path, layer in ours.items()}
    try:
        for path, layer in ours.items():
            layer.forward = following(path, layer)
        yield
    finally:
        for path, layer in ours.items():
            vars(layer).pop("forward", None)
            own = before[path]
            if own is not None:  # somebody's, set on the layer itself
                layer.forward = own
