"""The levels of the norm factor: a norm with all its options, and the label it has in a grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import normmods
from normmods.option_values import convert_to_kind, is_plain
from normmods.registry import describe_value_mismatch
from sweep.errors import suggest_nearest
from sweep.grid.validation_messages import format_value
from trainables.spec import NormSpec


@dataclass(frozen=True)
class Norm:
    """A level of the norm factor; `label` tells it from the grid's other norms.

    `told_by` names the options that stand in the label.
    """

    spec: NormSpec
    label: str
    told_by: frozenset[str] = frozenset()


def labelled(specs: Sequence[NormSpec]) -> tuple[Norm, ...]:
    """The norms with their labels: the name, with options only where a name is listed twice."""
    num_levels = Counter(spec.name for spec in specs)
    return tuple(
        Norm(spec, spec.name) if num_levels[spec.name] == 1 else _with_options(spec, specs)
        for spec in specs
    )


def complete(
    name: str, given: Mapping[str, Any]
) -> tuple[NormSpec | None, list[tuple[str | None, str]]]:
    """A norm with the options `given` and the defaults of the others.

    Returns:
        The spec, or None where something is wrong; and each problem with the option it is about
        (None: the norm as a whole).
    """
    try:
        known = normmods.options(name)
    except ValueError as error:
        return None, [(None, str(error))]
    wrong: list[tuple[str | None, str]] = [
        (option, finding)
        for option, item in given.items()
        if (finding := _option_problem(name, known, option, item))
    ]
    absent = [k for k, v in known.items() if v is normmods.REQUIRED and k not in given]
    wrong += [(None, f"norm {name!r} needs a value for its option {k!r}") for k in absent]
    if wrong:
        return None, wrong
    # A default that is no plain value is part of the layer's code, not of the grid.
    stated = {k: convert_to_kind(known.get(k), v) for k, v in given.items()}
    options = {k: v for k, v in {**known, **stated}.items() if is_plain(v)}
    return NormSpec(name=name, options=normmods.recorded_options(name, options)), []


def with_options_set(norm: Norm, changes: Mapping[str, Any]) -> Norm:
    """The level under the same label, with options as an override sets them."""
    spec, _ = complete(norm.spec.name, {**norm.spec.options, **changes})
    return norm if spec is None else replace(norm, spec=spec)


def not_settable(norm: Norm, option: str, value: Any) -> str | None:
    """Why an override cannot set this option of a level; None: it can."""
    if option in norm.told_by:
        return (
            f"cannot be set, since the label {norm.label!r} states it; list each value of "
            f"{option} under factors.norm instead"
        )
    _, wrong = complete(norm.spec.name, {**norm.spec.options, option: value})
    found = [what for of, what in wrong if of == option]
    return found[0] if found else None


def _option_problem(name: str, known: Mapping[str, Any], option: str, value: Any) -> str | None:
    required = {key: 0 for key, default in known.items() if default is normmods.REQUIRED}
    try:
        normmods.complete_options(name, {**required, option: value})
    except ValueError as error:
        return str(error)
    wanted = describe_value_mismatch(name, option, value)
    return f"expected {wanted}, found {format_value(value)}" if wanted else None


def _with_options(spec: NormSpec, specs: Iterable[NormSpec]) -> Norm:
    family = [other.options for other in specs if other.name == spec.name]
    told_by = {key for key in spec.options if len({str(o.get(key)) for o in family}) > 1}
    return Norm(spec, own_label(spec), frozenset(told_by))


def describe_impossible_label(label: str, listed: object, labels: Sequence[str]) -> str | None:
    """Return what is wrong with a label that no norm of a list with mistakes can have, else None.

    Args:
        label: what names a norm elsewhere in the grid.
        listed: the list under `factors.norm` as the file has it.
        labels: the labels of those of its norms that hold.
    """
    items = listed if isinstance(listed, list) else []
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    name = label.partition("(")[0]
    if not names or name in normmods.names() or name in names:
        return None  # it may be the norm that is listed with a mistake
    near = suggest_nearest(name, [*labels, *normmods.names()])
    near = near if near.startswith("; did") else ""
    return f"expected a norm of factors.norm, found {format_value(label)}{near}"


def own_label(spec: NormSpec) -> str:
    """`groupnorm(num_groups=8)`, with the options that are not the layer's own defaults."""
    defaults = normmods.options(spec.name)
    changed = {k: v for k, v in sorted(spec.options.items()) if defaults.get(k, _ABSENT) != v}
    inside = ", ".join(f"{key}={value}" for key, value in changed.items())
    return f"{spec.name}({inside})" if inside else spec.name


_ABSENT = object()
