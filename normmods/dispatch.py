"""Which way an input goes through a layer: as a node of a graph, as nothing, or by which kernels.

torch can hand a layer more than a tensor of values: `torch.fx` hands it a `Proxy`, `torch.func` a
tensor that stands for many or carries a tangent, an exporter a tensor whose operations it records.
The questions are answered here, once for all layers.
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


def entry(forward: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """Wraps a layer's `forward`, which then gets only inputs that hold values.

    `torch.fx` records a layer inside of a model as one `call_module` node, as it does torch's own
    layers. An input without values passes through and leaves the statistics as they are.
    """

    @wraps(forward)
    def enter(layer: Norm, x: Tensor) -> Tensor:
        if isinstance(x, Proxy):
            return _recorded(layer, x, forward)
        if not _is_traced() and x.numel() == 0:
            layer._check(x)
            return _without_values(layer, x)
        if layer.training and not layer.recomputable and _is_recomputed():
            raise RuntimeError(
                f"a {type(layer).__name__} in training cannot be recomputed in the backward pass, "
                "for its first forward has moved the statistics that it normalises with: leave "
                "the layer out of torch.utils.checkpoint, or use another norm"
            )
        return forward(layer, x)

    return enter


def is_recorded(x: Tensor) -> bool:
    """Whether `x` has no shape to check: `torch.fx` or `torch.jit.trace` records what is done."""
    return isinstance(x, Proxy) or _is_traced()


def is_transformed() -> bool:
    """Whether `torch.func` or forward-mode differentiation is at work: tensors may be many."""
    transforms: bool = torch._C._are_functorch_transforms_active()
    return transforms or forward_ad._current_level >= 0


def needs_reference(x: Tensor) -> bool:
    """Whether only plain operations serve `x`: the fast paths are for eager tensors on a CPU."""
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
    """Gradients of `formula(*inputs)` by autograd, themselves differentiable, an input each.

    For a backward written by hand in which grad mode is on (`create_graph=True`): its own
    arithmetic may be done in place, which autograd cannot differentiate.
    """
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    found = iter(
        torch.autograd.grad(formula(*inputs), wanted, grad, create_graph=True, allow_unused=True)
    )
    return [next(found) if x is not None and x.requires_grad else None for x in inputs]


def _is_traced() -> bool:
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def _is_recomputed() -> bool:
    """Whether a backward pass is at work, where activation checkpointing repeats a forward."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


def _recorded(layer: Norm, x: Any, forward: Callable[[Any, Tensor], Tensor]) -> Tensor:
    """The layer as one node or, where it is itself what is traced, its formula."""
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


def _without_values(layer: Norm, x: Tensor) -> Tensor:
    """`x`, differentiable, such that every parameter gets a gradient of zeros."""
    if layer.training:
        layer._meet_empty_batch()
    parameters = sum(parameter.sum() for parameter in layer.parameters())
    return x + 0 * parameters
