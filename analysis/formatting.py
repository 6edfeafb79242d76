"""Numbers and lists as a reader sees them."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10

import numpy as np

from analysis.statistics.inference.family import Contrast
from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE, SeedMean

MINUS = "−"


def number(value: float, digits: int = 2) -> str:
    """A number with a true minus sign; a dash where it is missing."""
    if np.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def signed(value: float, digits: int = 2) -> str:
    """A difference, with its sign."""
    text = number(value, digits)
    return f"+{text}" if value > 0 and float(text) else text


def digits_for(mean: SeedMean) -> int:
    """Digits after the point for a difference and its interval: 2, or more for a small one.

    So many that an interval without 0 does not read `0.00 to 0.00`, nor its half-width `± 0.00`.

    >>> digits_for(Mean(0.31, 0.1, 0.12, 5)), digits_for(Mean(0.003, 0.001, 0.0012, 5))
    (2, 3)
    """
    shown = [mean.half_width]
    if not mean.low <= 0 <= mean.high:
        shown += [mean.value, mean.low, mean.high]
    return _digits(shown, significant=1)


def points(value: float) -> str:
    """A number of points, with so many digits that it does not look like 0.

    >>> points(3.256), points(0.00123)
    ('3.26', '0.0012')
    """
    return number(value, _digits([value], significant=2))


def _digits(values: Sequence[float], *, significant: int) -> int:
    smallest = min((abs(value) for value in values if abs(value) > ROUNDING_TOLERANCE), default=1.0)
    return 2 if smallest >= 0.005 else ceil(-log10(smallest)) + significant - 1


def p_value(p: float) -> str:
    """A p value with as many digits as tell on which side of 0.05 it lies."""
    if np.isnan(p):
        return "–"
    if p < 0.001:
        return "< 0.001"
    digits = 2 if p >= 0.1 else 4 if abs(p - 0.05) < 0.0005 else 3
    return f"{p:.{digits}f}"


def equals(p: float) -> str:
    """A p value as it follows the letter: `= 0.02`, `< 0.001`."""
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def interval(gap: Contrast) -> str:
    """A difference's interval and adjusted p; where the two seem to disagree, why they do."""
    paired = gap.difference.paired
    if gap.is_significant or paired.low <= 0 <= paired.high:
        return f"95 % interval {between(paired)}, Holm-adjusted p {equals(gap.p_adjusted)}"
    return (
        f"95 % interval {between(paired)} and p {equals(gap.difference.p)} by itself, but p "
        f"{equals(gap.p_adjusted)} after Holm's adjustment for {gap.family_size} comparisons"
    )


def between(mean: SeedMean) -> str:
    """An interval in words: `0.20 to 0.82`."""
    digits = digits_for(mean)
    return f"{number(mean.low, digits)} to {number(mean.high, digits)}"


def told_apart(values: Sequence[float], most: int = 4) -> int:
    """Digits after the point at which values that differ look different: 2, `most` at most.

    >>> told_apart([6.204, 6.197, 7.1]), told_apart([0.2, 0.2])
    (3, 2)
    """
    for digits in range(2, most):
        texts = {number(value, digits) for value in values}
        if len(texts) == len({number(value, 9) for value in values}):
            return digits
    return most


def listed(items: Sequence[object], most: int = 12) -> str:
    """`a, b and c`; of many the first `most`, and how many more there are."""
    words = [str(item) for item in items]
    if len(words) > most + 1:
        words = [*words[:most], f"{len(words) - most} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def spans(numbers: Sequence[int]) -> list[str]:
    """Whole numbers in order, more than two in a row as one span: `0 to 4`, `7`."""
    runs: list[list[int]] = []
    for value in sorted(numbers):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    named: list[str] = []
    for run in runs:
        named += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run)
    return named


def counted(count: int, thing: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
