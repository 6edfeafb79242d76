"""Options of a norm, model or data set, and those that a user's own has by its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from normmods.errors import suggestion
from normmods.import_path import keyword_parameters
from normmods.option_values import expected, in_full, is_plain

OptionValue = bool | int | float | str | None


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
