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
class NormLevel:
    """A level of the norm factor.

    Attributes:
        spec: the norm with all its options.
        label: text by which the grid's norms differ: the name, with options where needed.
        label_options: names of the options that the label states.
    """

    spec: NormSpec
    label: str
    label_options: frozenset[str] = frozenset()


def label_norms(specs: Sequence[NormSpec]) -> tuple[NormLevel, ...]:
    """Return norms with labels: the name, with options only where a name is listed twice."""
    num_levels = Counter(spec.name for spec in specs)
    return tuple(
        NormLevel(spec, spec.name)
        if num_levels[spec.name] == 1
        else _label_with_options(spec, specs)
        for spec in specs
    )


def complete_norm(
    name: str, stated: Mapping[str, Any]
) -> tuple[NormSpec | None, list[tuple[str | None, str]]]:
    """Return a norm with the options stated and the defaults of the others, and what is wrong.

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
        for option, item in stated.items()
        if (finding := _find_option_error(name, known, option, item))
    ]
    absent = [k for k, v in known.items() if v is normmods.REQUIRED and k not in stated]
    wrong += [(None, f"norm {name!r} needs a value for its option {k!r}") for k in absent]
    if wrong:
        return None, wrong
    # A default that is no plain value is part of the layer's code, not of the grid.
    whole = {k: convert_to_kind(known.get(k), v) for k, v in stated.items()}
    options = {k: v for k, v in {**known, **whole}.items() if is_plain(v)}
    return NormSpec(name=name, options=normmods.recorded_options(name, options)), []


def override_options(norm: NormLevel, changes: Mapping[str, Any]) -> NormLevel:
    """Return a level with options as an override sets them, under the same label."""
    spec, _ = complete_norm(norm.spec.name, {**norm.spec.options, **changes})
    return norm if spec is None else replace(norm, spec=spec)


def find_override_error(norm: NormLevel, option: str, value: Any) -> str | None:
    """Return why an override cannot set an option of a level to a value; None where it can."""
    if option in norm.label_options:
        return (
            f"cannot be set, since the label {norm.label!r} states it; list each value of "
            f"{option} under factors.norm instead"
        )
    _, wrong = complete_norm(norm.spec.name, {**norm.spec.options, option: value})
    found = [what for of, what in wrong if of == option]
    return found[0] if found else None


def _find_option_error(name: str, known: Mapping[str, Any], option: str, value: Any) -> str | None:
    """Return what is wrong with an option's name or value; None where nothing is.

    `known` holds the norm's options with their defaults.
    """
    required = {key: 0 for key, default in known.items() if default is normmods.REQUIRED}
    try:
        normmods.complete_options(name, {**required, option: value})
    except ValueError as error:
        return str(error)
    wanted = describe_value_mismatch(name, option, value)
    return f"expected {wanted}, found {format_value(value)}" if wanted else None


def _label_with_options(spec: NormSpec, specs: Iterable[NormSpec]) -> NormLevel:
    """Return a norm labelled with its options; `specs` are all norms of the grid."""
    family = [other.options for other in specs if other.name == spec.name]
    label_options = {key for key in spec.options if len({str(o.get(key)) for o in family}) > 1}
    return NormLevel(spec, full_label(spec), frozenset(label_options))


def describe_impossible_label(label: str, listed: object, labels: Sequence[str]) -> str | None:
    """Return an error message if no norm of the grid can have this label; None if one may.

    Used where some listed norms are wrong: a wrong norm may be the one that the label means.

    Args:
        label: label that the grid uses for a norm outside `factors.norm`.
        listed: the value of `factors.norm` in the file, which may be of any type.
        labels: labels of the listed norms that are valid.
    """
    items = listed if isinstance(listed, list) else []
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    name = label.partition("(")[0]
    if not names or name in normmods.names() or name in names:
        return None  # it may be the norm that is listed with a mistake
    near = suggest_nearest(name, [*labels, *normmods.names()])
    near = near if near.startswith("; did") else ""
    return f"expected a norm of factors.norm, found {format_value(label)}{near}"


def full_label(spec: NormSpec) -> str:
    """Return a norm's label with every option that is no default: `groupnorm(num_groups=8)`."""
    defaults = normmods.options(spec.name)
    changed = {k: v for k, v in sorted(spec.options.items()) if defaults.get(k, _ABSENT) != v}
    inside = ", ".join(f"{key}={value}" for key, value in changed.items())
    return f"{spec.name}({inside})" if inside else spec.name


_ABSENT = object()
