"""Checks of a spec against the bounds in its annotations, for specs that come from no grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from trainables.spec import Spec


def check_bounds(spec: Spec) -> None:
    """Raise `ValueError` for the first field that is out of its bounds, named by its path."""
    for problem in _find_violations(spec, ""):
        raise ValueError(problem)


def _find_violations(spec: Spec, prefix: str) -> Iterator[str]:
    """Yield a message for each field, also of nested specs, that is out of its bounds."""
    hints = _type_hints(type(spec))  # type: ignore[arg-type]  # mypy takes the class for unhashable
    for field in dataclasses.fields(spec):  # type: ignore[arg-type]
        value = getattr(spec, field.name)
        path = f"{prefix}{field.name}"
        if isinstance(value, Spec):
            yield from _find_violations(value, f"{path}.")
        else:
            yield from _find_value_violations(value, hints[field.name], path)


@lru_cache
def _type_hints(kind: type[Spec]) -> dict[str, Any]:
    """Return the annotations of a spec class by field name, bounds included."""
    return get_type_hints(kind, include_extras=True)


def _find_value_violations(value: Any, hint: Any, path: str) -> Iterator[str]:
    """Yield a message for each bound in the annotation `hint` that `value` violates."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is not None or NoneType not in arguments:
            yield from _find_value_violations(value, arguments[0], path)
    elif origin is tuple:
        for item in value:
            yield from _find_value_violations(item, arguments[0], path)
    elif origin is Literal and value not in arguments:
        yield f"`{path}` must be one of {', '.join(map(str, arguments))}, but got {path}={value!r}"
    elif origin is Annotated:
        for bound in hint.__metadata__:
            if text := _describe_violated_bound(bound, value):
                yield f"`{path} {text}` must hold, but got {path}={value}"


def _describe_violated_bound(bound: Any, value: Any) -> str | None:
    """Return the bound as text (`>= 1`) if `value` violates it, else None; NaN violates any."""
    match bound:
        case Ge(limit) if not value >= limit:
            return f">= {limit}"
        case Gt(limit) if not value > limit:
            return f"> {limit}"
        case Le(limit) if not value <= limit:
            return f"<= {limit}"
        case Lt(limit) if not value < limit:
            return f"< {limit}"
    return None
