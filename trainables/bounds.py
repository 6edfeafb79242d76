"""The bounds in the annotations of a spec, checked for specs that come from no grid."""

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
    for problem in _problems(spec, ""):
        raise ValueError(problem)


def _problems(spec: Spec, prefix: str) -> Iterator[str]:
    hints = _hints(type(spec))  # type: ignore[arg-type]  # mypy takes the class for unhashable
    for field in dataclasses.fields(spec):  # type: ignore[arg-type]
        value = getattr(spec, field.name)
        path = f"{prefix}{field.name}"
        if isinstance(value, Spec):
            yield from _problems(value, f"{path}.")
        else:
            yield from _violations(value, hints[field.name], path)


@lru_cache
def _hints(kind: type[Spec]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _violations(value: Any, hint: Any, path: str) -> Iterator[str]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is not None or NoneType not in arguments:
            yield from _violations(value, arguments[0], path)
    elif origin is tuple:
        for item in value:
            yield from _violations(item, arguments[0], path)
    elif origin is Literal and value not in arguments:
        yield f"`{path}` must be one of {', '.join(map(str, arguments))}, but got {path}={value!r}"
    elif origin is Annotated:
        for bound in hint.__metadata__:
            if text := _broken(bound, value):
                yield f"`{path} {text}` must hold, but got {path}={value}"


def _broken(bound: Any, value: Any) -> str | None:
    """The bound as text where the value does not keep it; NaN keeps none."""
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
