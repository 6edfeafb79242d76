"""The kinds of option values, derived from the options' defaults."""

from __future__ import annotations

import math
from typing import Any

KINDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}
"""Description of each kind of value by the type's name."""

LARGEST_INT = 2**63 - 1
"""The largest whole number of a tensor, and of a table's column."""


def describe_mismatch(default: Any, value: Any) -> str | None:
    """Return what is expected for an option, in words, if `value` is of another kind; else None.

    `describe_mismatch(32, "4")` is `a whole number such as 32`; `describe_mismatch(32, 4)` is None.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if _is_beyond_a_tensor(default, value):
        return f"a whole number from {-LARGEST_INT - 1} to {LARGEST_INT}"
    if is_plain(value) and _is_of_kind(default, value):
        return None
    return describe_kind(default)


def describe_kind(default: Any) -> str:
    """Return the kind of an option's values in words, such as `a whole number such as 32`."""
    kind = type(default).__name__
    return f"{KINDS[kind]} such as {default}" if kind in KINDS else "a plain value"


def convert_to_kind(default: Any, value: Any) -> Any:
    """Return a whole number as a float if the default is a float; any other value unchanged.

    So `1` and `1.0` for an option with the default `1e-5` make one trial.
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if isinstance(default, float) and is_whole else value


def is_plain(value: Any) -> bool:
    """Whether a grid can contain the value: a bool, number, text or None."""
    return isinstance(value, bool | int | float | str | None)


def _is_beyond_a_tensor(default: Any, value: Any) -> bool:
    """Whether a value that is not converted to a float exceeds the whole numbers of a tensor."""
    stays = isinstance(value, int) and not isinstance(default, float)
    return stays and not -LARGEST_INT - 1 <= value <= LARGEST_INT


def _is_of_kind(default: Any, value: Any) -> bool:
    """Whether `value` is of the default's kind; a default of another type accepts any value."""
    if value is None or type(default).__name__ not in KINDS:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))
