"""The property `options` of `normmods.check_norm`: whether a layer's options have an effect."""

from __future__ import annotations

from torch import Tensor

from normmods.import_path import layer_options
from normmods.layer_under_test import (
    LayerUnderTest,
    Violation,
    are_equal,
    backpropagate,
    state_tensors,
)
from normmods.registry import OptionValue


def options(subject: LayerUnderTest) -> str:
    """Check that every number and switch has an effect and that an unknown option is refused."""
    parameters = layer_options(subject.factory)
    if all(p.kind is p.VAR_KEYWORD for p in parameters) and not state_tensors(subject.build()):
        return "its signature names none, and it has no parameters that one could concern"
    try:
        subject.build(no_such_option=1)
    except Exception:
        pass
    else:
        raise Violation("an option it does not have (no_such_option) is swallowed without a word")
    varied = [p for p in parameters if isinstance(p.default, bool | int | float)]
    # Given options may hide the effect of others: vary from the defaults, with what is required.
    required = {p.name for p in parameters if p.default is p.empty}
    given = {name: value for name, value in subject.options.items() if name in required}
    subject = LayerUnderTest(subject.factory, subject.num_channels, given)
    plain = _observe_layer(subject, {})
    ignored = [
        parameter.name
        for parameter in varied
        if not any(
            _is_different(_observe_layer(subject, {parameter.name: value}), plain)
            for value in _alternative_values(parameter.default)
        )
    ]
    if ignored:
        which = (
            f"option {ignored[0]} is" if len(ignored) == 1 else f"options {', '.join(ignored)} are"
        )
        raise Violation(f"{which} ignored: no value tried has an effect")
    if not varied:
        return "unknown ones are refused; there is no number or switch to vary"
    names = ", ".join(parameter.name for parameter in varied)
    return f"each number and switch has an effect ({names}); unknown ones are refused"


def _alternative_values(default: bool | int | float) -> tuple[bool | int | float, ...]:
    """Return values to try instead of a default, near and far."""
    if isinstance(default, bool):
        return (not default,)
    if isinstance(default, int):
        return (1, 2, default // 2, default * 2, 0, 1000)
    return (default * 3 + 0.1, default / 3, 1.0)


def _observe_layer(subject: LayerUnderTest, options: dict[str, OptionValue]) -> list[Tensor] | None:
    """Return everything that an option could change; None if the value is refused."""
    try:
        layer = subject.build(**options)
        outputs = []
        for step in range(20):
            y = layer(subject.make_input(3, 2, 2, step=step))
            backpropagate(y.square().sum())
            outputs.append(y.detach())
        outputs.append(layer.eval()(subject.make_input(3, 2, 2, step=20)).detach())
    except Exception:  # a value that was not foreseen may be refused in any way
        return None
    return [*outputs, *(value.detach().clone() for value in state_tensors(layer).values())]


def _is_different(a: list[Tensor] | None, b: list[Tensor] | None) -> bool:
    """Whether two observations differ in a value, or only one of them was refused."""
    if a is None or b is None:
        return (a is None) != (b is None)
    return len(a) != len(b) or not all(are_equal(x, y) for x, y in zip(a, b, strict=True))
