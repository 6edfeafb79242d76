"""Options of a norm, model or data set, and those that a user's own has by its signature."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from normmods.errors import suggestion
from normmods.import_path import keyword_parameters

OptionValue = bool | int | float | str | None
LARGEST_INT = 2**63 - 1
"""The largest whole number of a tensor, and of a table's column."""
KINDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}


class Options(Mapping[str, OptionValue]):
    """Options by name. They do not change, and are equal where their items are."""

    def __init__(self, items: Mapping[str, OptionValue] = MappingProxyType({})) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> OptionValue:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items))

    def __repr__(self) -> str:
        return repr(self._items)


def complete_options(
    named: str, target: Callable[..., Any], given: Mapping[str, Any], given_anyway: Sequence[str]
) -> Options:
    """All options of a callable: those `given`, and its defaults where they are plain values.

    Args:
        named: what messages call it: `model 'my_models:Net'`.
        target: its parameters, but for those `given_anyway`, are the options.
        given: what the grid says.
        given_anyway: the names of arguments that are no options.

    Raises:
        ValueError: an option that there is not or of another kind than its default, one without
            default that is not given, or an argument given anyway that is not taken.
    """
    parameters = {p.name: p for p in keyword_parameters(target)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = {
        name: p.default
        for name, p in parameters.items()
        if p.kind is not p.VAR_KEYWORD and name not in given_anyway
    }
    for name in given_anyway:
        if name not in parameters and not takes_any:
            call = ", ".join(f"{argument}=…" for argument in given_anyway)
            raise ValueError(f"{named} takes no {name!r}, but it is called with {call}")
    for option, value in given.items():
        if option in given_anyway or (option not in known and not takes_any):
            listed = f"its options are {', '.join(known)}" if known else "it has no options"
            near = suggestion(option, known)
            raise ValueError(f"{named} has no option {option!r}{near} ({listed})")
        if wanted := expected(known.get(option), value):
            raise ValueError(f"{named}: option {option!r}: expected {wanted}, found {value!r}")
    completed = {**known, **{k: in_full(known.get(k), v) for k, v in given.items()}}
    missing = [k for k, v in completed.items() if v is inspect.Parameter.empty]
    if missing:
        raise ValueError(f"{named} needs a value for its option {missing[0]!r}")
    # A default that is no plain value is part of the code, not of the grid.
    return Options({k: v for k, v in completed.items() if is_plain(v)})


def expected(default: Any, value: Any) -> str | None:
    """What has to stand where `default` does, in words, if it is not such as `value`."""
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if _is_beyond_a_tensor(default, value):
        return f"a whole number from {-LARGEST_INT - 1} to {LARGEST_INT}"
    kind = type(default).__name__
    if is_plain(value) and _is_of_kind(default, value):
        return None
    return f"{KINDS[kind]} such as {default}" if kind in KINDS else "a plain value"


def in_full(default: Any, value: Any) -> Any:
    """`1` for an option whose default is `1e-5` is the number 1.0: one trial, however written."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if isinstance(default, float) and is_whole else value


def is_plain(value: Any) -> bool:
    """Whether a grid could hold the value as an option's."""
    return isinstance(value, bool | int | float | str | None)


def _is_beyond_a_tensor(default: Any, value: Any) -> bool:
    """Whether a whole number stays one, and is more than a tensor of whole numbers can hold."""
    stays = isinstance(value, int) and not isinstance(default, float)
    return stays and not -LARGEST_INT - 1 <= value <= LARGEST_INT


def _is_of_kind(default: Any, value: Any) -> bool:
    """Whether `value` can stand where `default` does; an untyped default takes anything."""
    if value is None or type(default).__name__ not in KINDS:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))
