"""What is said of a norm that is alone: what a smaller batch costs it, in words."""

from __future__ import annotations

import numpy as np

from analysis.formatting import counted, interval, number, signed
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.differences import Difference, compute_difference
from analysis.statistics.inference.family import Contrast, adjust_family


def one_norm(comparison: Comparison) -> list[str]:
    """A norm's error at each batch size against the largest one, paired by seed; one family."""
    norm = comparison.reference
    largest = comparison.batch_sizes[0]
    ended = comparison.get_errors(largest).get(norm)
    if ended is None:
        return [f"{norm} is alone, and no trial of it at batch size {largest} has ended yet."]
    level = f"{norm} is alone: its mean error at batch size {largest} is {number(ended.mean())} %"
    found = _rises(comparison)
    if not found:
        return [f"{level}, and there is nothing to compare it with."]
    beside = [rise.p for item in comparison.others for rise in _rises(item).values()]
    rises = adjust_family([(norm, size) for size in found], list(found.values()), beside)
    return [f"{level}.", *(_rise(gap, largest) for gap in rises)]


def _rises(comparison: Comparison) -> dict[int, Difference]:
    """By smaller batch size the error's rise over the largest one's, where a norm is alone."""
    norm, (largest, *smaller) = comparison.reference, comparison.batch_sizes
    ended = comparison.get_errors(largest).get(norm)
    if ended is None or len(comparison.distinct_norms) > 1:
        return {}
    errors = {size: comparison.get_errors(size).get(norm) for size in smaller}
    return {size: compute_difference(e, ended) for size, e in errors.items() if e is not None}


def _rise(gap: Contrast, largest: int) -> str:
    paired = gap.difference.paired
    at = f"at batch size {gap.batch_size}"
    if np.isnan(paired.value):
        return f"No seed has ended both {at} and at {largest}."
    if np.isnan(paired.half_width):
        return (
            f"{at.capitalize()} it is {signed(paired.value)} points from that "
            f"({counted(paired.num, 'seed')}, no interval)."
        )
    if gap.is_significant:
        side = "higher" if paired.value > 0 else "lower"
        return (
            f"{at.capitalize()} it is {number(abs(paired.value))} points {side} ({interval(gap)})."
        )
    return (
        f"{at.capitalize()} it is not distinguishable from that with "
        f"{counted(paired.num, 'seed')}: the difference is {signed(paired.value)} points "
        f"({interval(gap)})."
    )
