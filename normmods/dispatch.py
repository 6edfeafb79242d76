"""Choice of how a layer processes an input: recorded, empty, by native or by plain operations.

torch can pass a layer more than a tensor of values: `torch.fx` passes a `Proxy`, `torch.func` a
tensor that stands for many or carries a tangent, an exporter a tensor whose operations are
recorded. This module distinguishes these cases for all layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx import Proxy

if TYPE_CHECKING:
    from normmods.norm import Norm


def dispatch_input(forward: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """Return a layer's `forward` wrapped so that it receives only inputs with values.

    `torch.fx` records a layer inside a model as one `call_module` node, as it does torch's own
    layers. An input without values is passed through and leaves the statistics unchanged.
    """

    @wraps(forward)
    def enter(layer: Norm, x: Tensor) -> Tensor:
        """Record `x`, pass it through if empty, or call the layer's own `forward`."""
        if isinstance(x, Proxy):
            return _record_layer(layer, x, forward)
        if not _is_traced() and x.numel() == 0:
            layer._check(x)
            return _pass_empty_batch(layer, x)
        if layer.training and not layer.recomputable and _is_recomputed():
            raise RuntimeError(
                f"a {type(layer).__name__} in training cannot be recomputed in the backward pass, "
                "for its first forward has moved the statistics that it normalises with: leave "
                "the layer out of torch.utils.checkpoint, or use another norm"
            )
        return forward(layer, x)

    return enter


def is_recorded(x: Tensor) -> bool:
    """Whether `torch.fx` or `torch.jit.trace` is recording operations: `x` has no fixed shape."""
    return isinstance(x, Proxy) or _is_traced()


def is_transformed() -> bool:
    """Whether `torch.func` or forward-mode differentiation is active: tensors may be many."""
    transforms: bool = torch._C._are_functorch_transforms_active()
    return transforms or forward_ad._current_level >= 0


def needs_reference(x: Tensor) -> bool:
    """Whether the layer must use plain operations, since the native kernel cannot take `x`.

    Native kernels are for eager tensors on a CPU.
    """
    return (
        is_recorded(x)
        or x.device.type != "cpu"
        or torch.compiler.is_compiling()
        or is_transformed()
        or torch._C._len_torch_dispatch_stack() > 0  # make_fx, for one, records operations so
    )


def differentiable_gradients(
    formula: Callable[..., Tensor], inputs: Sequence[Tensor | None], grad: Tensor
) -> list[Tensor | None]:
    """Return the gradient of each input of `formula(*inputs)`, itself differentiable.

    For a hand-written backward pass with grad mode on (`create_graph=True`): its own arithmetic may
    be done in place, which autograd cannot differentiate.
    """
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    found = iter(
        torch.autograd.grad(formula(*inputs), wanted, grad, create_graph=True, allow_unused=True)
    )
    return [next(found) if x is not None and x.requires_grad else None for x in inputs]


def _is_traced() -> bool:
    """Whether `torch.jit.trace` is active."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def _is_recomputed() -> bool:
    """Whether a backward pass is running, in which activation checkpointing repeats a forward."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


def _record_layer(layer: Norm, x: Any, forward: Callable[[Any, Tensor], Tensor]) -> Tensor:
    """Return the output of the layer in a `torch.fx` graph.

    The layer is one node of the graph; if it is itself the root, its operations are recorded.
    """
    if x.tracer.root is not layer:
        node: Tensor = x.tracer.create_proxy(
            "call_module", x.tracer.path_of_module(layer), (x,), {}
        )
        return node
    if layer.training and any(True for _ in layer.buffers()):
        raise ValueError(
            f"`training == False` must hold to trace a bare {type(layer).__name__}, whose graph "
            "would not count batches: call layer.eval() first, or trace a model that holds it"
        )
    return forward(layer, x)


def _pass_empty_batch(layer: Norm, x: Tensor) -> Tensor:
    """Return an empty `x` connected to every parameter, which gets a gradient of zeros."""
    if layer.training:
        layer._count_empty_batch()
    parameters = sum(parameter.sum() for parameter in layer.parameters())
    return x + 0 * parameters
