"""Recording of the layers that a forward pass calls, and of their input shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from normmods.data_flow import find_tensors


@dataclass
class LayerFailure:
    """The innermost layer that raised an exception, and the shape of its input, if known."""

    error: Exception
    path: str
    layer: nn.Module
    shape: torch.Size | None


@dataclass
class CallRecorder:
    """The calls of a model's layers, recorded by the layers' paths.

    Attributes:
        keep_outputs: paths of the layers whose last output is kept.
        shapes: shapes of the first tensor among the arguments of each call, without repeats.
        called: paths of the layers that were called.
        outputs: the last output of each layer in `keep_outputs`.
        failure: the layer that raised the latest exception; None if no layer raised.
    """

    keep_outputs: frozenset[str] = frozenset()
    shapes: dict[str, list[torch.Size]] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    outputs: dict[str, object] = field(default_factory=dict)
    failure: LayerFailure | None = None

    def record_call(
        self, path: str, layer: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Call a layer's `forward` with the arguments, record the call, and return the output."""
        self.called.add(path)
        tensors = find_tensors((args, kwargs))
        shape = tensors[0].shape if tensors else None
        seen = self.shapes.setdefault(path, [])
        if shape is not None and shape not in seen:
            seen.append(shape)
        try:
            output = forward(*args, **kwargs)
        except Exception as error:
            if self.failure is None or self.failure.error is not error:
                self.failure = LayerFailure(error, path, layer, shape)
            raise
        if path in self.keep_outputs:
            self.outputs[path] = output
        return output


@contextmanager
def record_calls(layers: Mapping[str, nn.Module], calls: CallRecorder) -> Iterator[None]:
    """Record every call of the layers within the block, also direct calls of `forward`."""

    def wrap_forward(path: str, layer: nn.Module) -> Callable[..., Any]:
        """Return the layer's `forward` with its calls recorded."""
        forward = layer.forward

        def call(*args: Any, **kwargs: Any) -> Any:
            """Call `forward` and record the call."""
            return calls.record_call(path, layer, forward, *args, **kwargs)

        return call

    ours = {
        path: layer
        for path, layer in layers.items()
        if not isinstance(layer, torch.jit.ScriptModule)
    }
    before = {path: vars(layer).get("forward") for path, layer in ours.items()}
    try:
        for path, layer in ours.items():
            layer.forward = wrap_forward(path, layer)
        yield
    finally:
        for path, layer in ours.items():
            vars(layer).pop("forward", None)
            own = before[path]
            if own is not None:  # set on the layer itself by the model
                layer.forward = own
