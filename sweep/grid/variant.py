"""A trial's levels of the extra factors, as a mapping, and the label that people read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Variant(Mapping[str, Any]):
    """The level of each extra factor by the factor's dotted name; empty where there is none.

    A variant does not change, can be a dictionary's key, and is equal to another one with the same
    items. `str` gives its label, the only text that stands for it in tables, file names and tags.

    >>> variant = Variant.of({"train.optimizer.lr": 0.1, "train.schedule.milestones": (2, 4)})
    >>> variant["train.optimizer.lr"], str(variant)
    (0.1, 'train.optimizer.lr=0.1, train.schedule.milestones=2/4')
    """

    items_in_order: tuple[tuple[str, Any], ...] = ()

    @staticmethod
    def of(levels: Mapping[str, Any]) -> Variant:
        """Return the variant with these levels, in their order; lists become tuples."""
        return Variant(tuple((name, _freeze(level)) for name, level in levels.items()))

    def __getitem__(self, name: str) -> Any:
        for key, level in self.items_in_order:
            if key == name:
                return level
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.items_in_order)

    def __len__(self) -> int:
        return len(self.items_in_order)

    def __str__(self) -> str:
        """Return the label: `a=1, b=null`. `analysis` reads the levels from such a label.

        A level that could be taken for several ones, since it holds `, ` or a quotation mark at
        its beginning, is written as a JSON string.
        """
        return ", ".join(
            f"{name}={_quote_if_ambiguous(level)}" for name, level in self.items_in_order
        )


def format_level(level: Any) -> str:
    """Return a level as labels and messages show it: `0.1`, `null`, `150/250`."""
    if isinstance(level, list | tuple):
        return "/".join(format_level(item) for item in level)
    return json.dumps(level) if level is None or isinstance(level, bool) else str(level)


def level_key(value: Any) -> Any:
    """Return a hashable key of a value: two keys are equal exactly if the values are equal.

    Texts and truth values do not equal numbers.
    """
    if isinstance(value, Mapping):
        return frozenset((key, level_key(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(level_key(item) for item in value)
    return (type(value).__name__, value) if isinstance(value, bool | str) else value


def _quote_if_ambiguous(level: Any) -> str:
    """Return a level as a label holds it, quoted where it could be taken for several levels."""
    text = format_level(level)
    return json.dumps(text, ensure_ascii=False) if ", " in text or text.startswith('"') else text


def _freeze(value: Any) -> Any:
    """Return a list as a tuple, at any depth."""
    if isinstance(value, list | tuple):
        return tuple(_freeze(item) for item in value)
    return value
