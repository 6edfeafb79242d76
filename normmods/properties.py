"""The properties that `normmods.check_norm` checks, one function each.

Each function takes a `LayerUnderTest`, returns a line on what was measured, and raises
`Violation` if the property does not hold. The function's name is the property's name.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from normmods.initial_gradients import initial_gradients
from normmods.layer_under_test import (
    LayerUnderTest,
    Violation,
    are_equal,
    backpropagate,
    max_difference,
    state_tensors,
)
from normmods.option_effects import options
from normmods.parameters import find_lazy_tensor

ONE_SIDED = 2.5
"""Ratio of the outputs' range on both sides of 0 from which on an activation is assumed."""


def shape(subject: LayerUnderTest) -> str:
    """Check that the output has the input's shape, also at odd sizes and batch 1."""
    layer = subject.build()
    tried = [(4, 6, 5), (1, 7, 3), (3, 2, 2)]
    for sizes in tried:
        x = subject.make_input(*sizes)
        y = layer(x)
        if not isinstance(y, Tensor):
            raise Violation(f"returned {type(y).__name__}; expected one tensor")
        if y.shape != x.shape:
            raise Violation(f"{tuple(x.shape)} became {tuple(y.shape)}")
    return f"kept at {len(tried)} sizes"


def dtype(subject: LayerUnderTest) -> str:
    """Check that float32 and bfloat16 inputs give outputs of their dtype, with float32 state."""
    for wanted in (torch.float32, torch.bfloat16):
        layer = subject.build()
        if (found := layer(subject.make_input().to(wanted)).dtype) != wanted:
            raise Violation(f"{wanted} input became {found}")
        states = {key: value.dtype for key, value in layer.state_dict().items()}
        for key, kept in states.items():
            if kept.is_floating_point and kept != torch.float32:
                raise Violation(f"{key} is {kept} after {wanted} input, not torch.float32")
    return "float32 and bfloat16 kept, state in float32"


def memory_format(subject: LayerUnderTest) -> str:
    """Check that channels-last stays channels-last, and that strides never change values."""
    x = subject.make_input()
    expected = subject.build()(x)
    strided = torch.stack((x, x), dim=-1).flatten(-2)[..., ::2]
    last = x.contiguous(memory_format=torch.channels_last)
    for name, variant in {"strided": strided, "channels-last": last}.items():
        change = max_difference(subject.build()(variant), expected)
        if not change < 1e-4:
            raise Violation(f"{name} input changes the output by {change:.2g}")
    if not subject.build()(last).is_contiguous(memory_format=torch.channels_last):
        raise Violation("channels-last input gives output in another memory format")
    return "channels-last kept, strides without effect"


def gradients(subject: LayerUnderTest) -> str:
    """Check that finite gradients reach the input and every parameter."""
    layer, x = subject.build(), subject.make_input().requires_grad_()
    y = layer(x)
    backpropagate((y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum())
    named = {"the input": x, **dict(layer.named_parameters())}
    for name, tensor in named.items():
        if tensor.grad is None:
            raise Violation(f"no gradient reaches {name}")
        if not tensor.grad.isfinite().all():
            raise Violation(f"the gradient of {name} is not finite")
    return f"finite for the input and {len(named) - 1} parameters"


def evaluation(subject: LayerUnderTest) -> str:
    """Check that evaluation changes no state and gives the same output twice."""
    layer = subject.build_trained().eval()
    before = {key: value.clone() for key, value in state_tensors(layer).items()}
    first, second = (layer(subject.make_input(step=7)) for _ in range(2))
    changed = [
        key for key, value in state_tensors(layer).items() if not are_equal(value, before[key])
    ]
    if changed:
        raise Violation(f"evaluation updates {', '.join(changed)}")
    if not torch.equal(first, second):
        raise Violation("two evaluations of the same input differ: state outside of the buffers")
    gap = max_difference(layer.train()(subject.make_input(step=7)), first)
    return f"leaves the state alone; differs from training by {gap:.2g}"


def state_round_trip(subject: LayerUnderTest) -> str:
    """Check that a layer restored from another's `state_dict` computes the same."""
    layer, twin = subject.build_trained(), subject.build()
    twin.load_state_dict({key: value.clone() for key, value in layer.state_dict().items()})
    x = subject.make_input(step=7)
    for mode in ("evaluation", "training"):
        layer.train(mode == "training")
        twin.train(mode == "training")
        torch.manual_seed(1)
        expected = layer(x)
        torch.manual_seed(1)
        if not torch.equal(twin(x), expected):
            raise Violation(
                f"a restored layer differs in {mode}: some state is no parameter or buffer"
            )
    return f"{len(layer.state_dict())} entries restore it"


def batch_independence(subject: LayerUnderTest) -> str:
    """Check that examples depend on each other in training exactly if the layer declares it."""
    leaks = {}
    for mode in ("training", "evaluation"):
        outputs = []
        for step in (1, 2):
            x = subject.make_input(step=step)
            x[0] = subject.make_input(step=7)[0]
            torch.manual_seed(1)
            outputs.append(subject.build_trained().train(mode == "training")(x)[0])
        leaks[mode] = max_difference(*outputs) > 1e-5
    declared = getattr(subject.build(), "batch_dependent", None)
    seen = "depends on the batch" if leaks["training"] else "independent of the batch"
    if leaks["evaluation"] and not leaks["training"]:
        raise Violation("examples leak into each other in evaluation, though not in training")
    if declared is None and leaks["training"]:
        raise Violation(
            "examples influence each other; if that is meant, set batch_dependent = True "
            "on the class"
        )
    if declared is None:
        return f"{seen} (batch_dependent is not declared on the class)"
    if declared != leaks["training"]:
        what = "leak into each other" if leaks["training"] else "do not depend on each other"
        raise Violation(f"examples {what}, but the layer declares batch_dependent={declared}")
    return f"{seen}, as declared{', also in evaluation' if leaks['evaluation'] else ''}"


def smallest_input(subject: LayerUnderTest) -> str:
    """Check that small inputs are used or refused with a `ValueError`, never made constant."""
    accepted = []
    for batch, side in ((1, 1), (2, 1), (1, 2), (2, 2)):
        label = f"batch {batch} on {side}x{side}"
        inputs = [subject.make_input(batch, side, side, step=step) for step in (0, 1)]
        try:
            outputs = [subject.build()(x) for x in inputs]
        except ValueError:
            continue
        except Exception as error:
            raise Violation(f"{label} raises {type(error).__name__}, not ValueError") from error
        if not all(y.isfinite().all() for y in outputs):
            raise Violation(f"{label} gives values that are not finite")
        if max_difference(*outputs) < 1e-3:
            raise Violation(f"{label} gives the same output whatever the input: refuse it")
        accepted.append(label)
    return f"takes {', '.join(accepted)}" if accepted else "takes none of batch 1, 2 on 1x1, 2x2"


def bad_input(subject: LayerUnderTest) -> str:
    """Check that a wrong channel count and integer input are refused.

    A layer without parameters and buffers may accept any number of channels.
    """
    if not state_tensors(subject.build()):
        return "a layer without parameters takes any number of channels"
    wide = torch.randn(4, subject.num_channels + 1, 6, 5)
    whole = torch.ones(4, subject.num_channels, 6, 5, dtype=torch.int64)
    for name, x in {"a wrong channel count": wide, "integer input": whole}.items():
        try:
            subject.build()(x)
        except Exception:
            continue
        raise Violation(f"{name} is accepted without a word")
    return "wrong channel count and integer input are refused"


def activation(subject: LayerUnderTest) -> str:
    """Check that a layer that ends in an activation declares it, so that a model adds none.

    For inputs symmetric about 0 the outputs of a normalization reach about as far on either side of
    0; those of a ReLU, SiLU or GELU do not.
    """
    layer = subject.build()
    y = layer(subject.make_input(16, 8, 8)).detach()
    sides = sorted((float(y.amax().clamp(min=0)), float(-y.amin().clamp(max=0))))
    is_one_sided = sides[0] * ONE_SIDED < sides[1]
    declared = bool(getattr(layer, "replaces_activation", False))
    if is_one_sided and not declared:
        raise Violation(
            f"outputs lie from {float(y.amin()):.2g} to {float(y.amax()):.2g}, as behind an "
            "activation: set replaces_activation = True on the class if it ends in one"
        )
    if not declared:
        return "none at the end"
    if callable(getattr(subject.build(), "without_activation", None)):
        return "ends in one, as declared; without_activation() says what it is before a sum"
    return "ends in one, as declared, before a sum too: it has no method without_activation()"


def parameters_added(subject: LayerUnderTest) -> str:
    """Report how many more parameters the layer has than BatchNorm's 2 C."""
    layer = subject.build()
    if name := find_lazy_tensor(layer):
        raise Violation(
            f"{name} has no shape before a first batch: build the lazy layer with its number of "
            f"channels"
        )
    count = sum(parameter.numel() for parameter in layer.parameters())
    return f"{count - 2 * subject.num_channels:+d} to BatchNorm's {2 * subject.num_channels}"


def meta_device(subject: LayerUnderTest) -> str:
    """Check that the layer runs on the meta device, where a sweep checks it first."""
    with torch.device("meta"):
        layer = subject.build()
        backpropagate(layer(torch.empty(4, subject.num_channels, 6, 5)).sum())
    return "trains there"


def cost(subject: LayerUnderTest) -> str:
    """Report the time of forward and backward relative to `torch.nn.BatchNorm2d`'s."""
    layers = (subject.build(), nn.BatchNorm2d(subject.num_channels))
    x = subject.make_input(16, 16, 16).requires_grad_()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(15):
        for layer, taken in zip(layers, times, strict=True):
            start = time.perf_counter()
            backpropagate(layer(x).sum())
            taken.append(time.perf_counter() - start)
    own, native = (statistics.median(taken[3:]) for taken in times)
    return f"{own / native:.1f} times BatchNorm's on {tuple(x.shape)}"


def compiles(subject: LayerUnderTest) -> str:
    """Check that `torch.compile` traces the layer as a whole, with the same results."""
    layer, twin = subject.build(), subject.build()
    torch.compiler.reset()
    compiled = torch.compile(twin, fullgraph=True, backend="eager")
    for mode in (True, False):
        x = subject.make_input(step=int(mode))
        twin.train(mode)
        expected, found = layer.train(mode)(x), compiled(x)
        if not max_difference(found, expected) < 1e-4:
            raise Violation(f"the compiled output differs by {max_difference(found, expected):.2g}")
    return "without graph breaks, to the same output"


PROPERTIES: dict[str, Callable[[LayerUnderTest], str]] = {
    check.__name__: check
    for check in (
        shape,
        dtype,
        memory_format,
        gradients,
        initial_gradients,
        evaluation,
        state_round_trip,
        batch_independence,
        smallest_input,
        bad_input,
        options,
        activation,
        parameters_added,
        meta_device,
        cost,
        compiles,
    )
}
"""The properties by name, in the order in which they are checked."""
