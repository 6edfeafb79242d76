"""What kind of value an option takes, told from its default."""

from __future__ import annotations

import math
from typing import Any

KINDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}
LARGEST_INT = 2**63 - 1
"""The largest whole number of a tensor, and of a table's column."""


def expected(default: Any, value: Any) -> str | None:
    """What has to stand where `default` does, in words, if it is not such as `value`.

    `expected(32, "4")` is `a whole number such as 32`, `expected(32, 4)` is None.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if _is_beyond_a_tensor(default, value):
        return f"a whole number from {-LARGEST_INT - 1} to {LARGEST_INT}"
    if is_plain(value) and _is_of_kind(default, value):
        return None
    return in_words(default)


def in_words(default: Any) -> str:
    """The kind of an option's values, such as `a whole number such as 32`."""
    kind = type(default).__name__
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
