"""Options of a norm, model or data set; those of a custom one are read from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from normmods.errors import suggest_name
from normmods.import_path import keyword_parameters
from normmods.option_values import convert_to_kind, describe_mismatch, is_plain

OptionValue = bool | int | float | str | None


class Options(Mapping[str, OptionValue]):
    """An immutable mapping of options by name; equal if the items are equal, and hashable."""

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
    label: str, target: Callable[..., Any], given: Mapping[str, Any], fixed_arguments: Sequence[str]
) -> Options:
    """Return all options of a callable: those `given`, and its defaults that are plain values.

    Args:
        label: the callable's name in messages: `model 'my_models:Net'`.
        target: the callable; its parameters except `fixed_arguments` are the options.
        given: the options that the grid states.
        fixed_arguments: names of the arguments that the program passes itself.

    Raises:
        ValueError: an unknown option, an option of another kind than its default, a missing
            option without default, or a fixed argument that `target` does not accept.
    """
    parameters = {p.name: p for p in keyword_parameters(target)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = {
        name: p.default
        for name, p in parameters.items()
        if p.kind is not p.VAR_KEYWORD and name not in fixed_arguments
    }
    for name in fixed_arguments:
        if name not in parameters and not takes_any:
            call = ", ".join(f"{argument}=…" for argument in fixed_arguments)
            raise ValueError(f"{label} takes no {name!r}, but it is called with {call}")
    for option, value in given.items():
        if option in fixed_arguments or (option not in known and not takes_any):
            listed = f"its options are {', '.join(known)}" if known else "it has no options"
            near = suggest_name(option, known)
            raise ValueError(f"{label} has no option {option!r}{near} ({listed})")
        if wanted := describe_mismatch(known.get(option), value):
            raise ValueError(f"{label}: option {option!r}: expected {wanted}, found {value!r}")
    completed = {**known, **{k: convert_to_kind(known.get(k), v) for k, v in given.items()}}
    missing = [k for k, v in completed.items() if v is inspect.Parameter.empty]
    if missing:
        raise ValueError(f"{label} needs a value for its option {missing[0]!r}")
    # A default that is no plain value is part of the code, not of the grid.
    return Options({k: v for k, v in completed.items() if is_plain(v)})
