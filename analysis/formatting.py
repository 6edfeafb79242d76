"""Numbers, intervals and lists formatted for readers."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Protocol

import numpy as np

from analysis.statistics.inference.family import Contrast
from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE

MINUS = "−"
DIGITS_WITHOUT_INTERVAL = 2
MOST_DIGITS = 9


def format_number(value: float, digits: int = 2) -> str:
    """Return a number with a true minus sign; a dash where it is missing."""
    if np.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def format_signed(value: float, digits: int = 2) -> str:
    """Return a difference with its sign."""
    text = format_number(value, digits)
    return f"+{text}" if value > 0 and float(text) else text


class HasInterval(Protocol):
    """A difference or mean with an interval: a `SeedMean` or a `Contrast`."""

    @property
    def value(self) -> float:
        """The estimate."""

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""

    @property
    def low(self) -> float:
        """Lower end of the interval."""

    @property
    def high(self) -> float:
        """Upper end of the interval."""


def choose_digits(mean: HasInterval) -> int:
    """Return the digits after the point for a mean, or a difference, and its interval.

    The half-width gets two significant digits, and the mean as many digits after the point; more
    where an end of an interval without 0 would read as 0. Two where there is no interval.

    >>> from analysis.statistics.inference.intervals import SeedMean
    >>> [choose_digits(SeedMean(7.0, 1.0, half_width, 5)) for half_width in (0.0123, 0.123, 1.23)]
    [3, 2, 1]
    """
    if np.isnan(mean.half_width):
        return DIGITS_WITHOUT_INTERVAL
    digits = choose_uncertain_digits(mean.half_width)
    ends = [] if mean.low <= 0 <= mean.high else [mean.value, mean.low, mean.high]
    smallest = min((abs(end) for end in ends if abs(end) > ROUNDING_TOLERANCE), default=np.inf)
    while digits < MOST_DIGITS and float(f"{smallest:.{digits}f}") == 0:
        digits += 1
    return digits


def choose_uncertain_digits(uncertainty: float) -> int:
    """Return the digits after the point that give an uncertainty two significant digits.

    Two where the uncertainty is missing or 0.

    >>> [choose_uncertain_digits(value) for value in (0.0996, 0.25, 9.96, 25.0, 0.0)]
    [2, 2, 0, 0, 2]
    """
    if not uncertainty > ROUNDING_TOLERANCE:
        return DIGITS_WITHOUT_INTERVAL
    rounded = float(f"{uncertainty:.1e}")
    return min(max(1 - floor(log10(rounded)), 0), MOST_DIGITS)


def format_mean(mean: HasInterval) -> str:
    """Return a mean with the digits that its interval makes significant; without the interval."""
    return format_number(mean.value, choose_digits(mean))


def format_difference(mean: HasInterval) -> str:
    """Return a mean difference with its sign and the digits that its interval makes significant."""
    return format_signed(mean.value, choose_digits(mean))


def format_half_width(mean: HasInterval) -> str:
    """Return half an interval's width; empty where there is no interval."""
    return "" if np.isnan(mean.half_width) else format_number(mean.half_width, choose_digits(mean))


def format_points(value: float) -> str:
    """Return a number of points with enough digits that it does not read as 0.

    >>> format_points(3.256), format_points(0.00123)
    ('3.26', '0.0012')
    """
    return format_number(value, _count_digits([value], significant=2))


def _count_digits(values: Sequence[float], *, significant: int) -> int:
    """Return the digits after the point that show the smallest value, at least 2."""
    smallest = min((abs(value) for value in values if abs(value) > ROUNDING_TOLERANCE), default=1.0)
    return 2 if smallest >= 0.005 else ceil(-log10(smallest)) + significant - 1


def format_p(p: float) -> str:
    """Return a p value with enough digits to tell on which side of 0.05 it lies."""
    if np.isnan(p):
        return "–"
    if p < 0.001:
        return "< 0.001"
    digits = 2 if p >= 0.1 else 4 if abs(p - 0.05) < 0.0005 else 3
    return f"{p:.{digits}f}"


def format_p_relation(p: float) -> str:
    """Return a p value as it follows the letter p: `= 0.02`, `< 0.001`."""
    text = format_p(p)
    return text if text.startswith("<") else f"= {text}"


def format_contrast_interval(contrast: Contrast) -> str:
    """Return a contrast's interval and adjusted p, which agree on whether it differs from 0."""
    simultaneous = "simultaneous " if contrast.family_size > 1 else ""
    return (
        f"{simultaneous}95 % interval {format_interval(contrast)}, Holm-adjusted p "
        f"{format_p_relation(contrast.p_adjusted)}"
    )


def format_interval(mean: HasInterval) -> str:
    """Return an interval in words: `0.20 to 0.82`."""
    digits = choose_digits(mean)
    return f"{format_number(mean.low, digits)} to {format_number(mean.high, digits)}"


def choose_distinct_digits(values: Sequence[float], most: int = 4) -> int:
    """Return the digits after the point at which unequal values look unequal: 2, `most` at most.

    For values without an interval: the digits of others are those that are significant.

    >>> choose_distinct_digits([6.204, 6.197, 7.1]), choose_distinct_digits([0.2, 0.2])
    (3, 2)
    """
    for digits in range(2, most):
        texts = {format_number(value, digits) for value in values}
        if len(texts) == len({format_number(value, 9) for value in values}):
            return digits
    return most


def join_words(items: Sequence[object], most: int = 12) -> str:
    """Return `a, b and c`; of many the first `most`, and the number of the others."""
    words = [str(item) for item in items]
    if len(words) > most + 1:
        words = [*words[:most], f"{len(words) - most} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def format_ranges(numbers: Sequence[int]) -> list[str]:
    """Return whole numbers in order, more than two in a row as one range: `0 to 4`, `7`."""
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


def format_count(count: int, thing: str) -> str:
    """Return `1 trial`, `2 trials`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
