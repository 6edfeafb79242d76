"""What is said of a norm that is alone: what a smaller batch costs it, in words."""

from __future__ import annotations

import numpy as np

from analysis.comparison import Comparison
from analysis.family import Gap, family
from analysis.inference import difference
from analysis.wording import counted, interval, number, signed


def one_norm(comparison: Comparison) -> list[str]:
    """A norm's error at each batch size against the largest one, paired by seed, Holm over them."""
    norm = comparison.reference
    largest, *smaller = comparison.batch_sizes
    ended = comparison.errors(largest).get(norm)
    if ended is None:
        return [f"{norm} is alone, and no trial of it at batch size {largest} has ended yet."]
    level = f"{norm} is alone: its mean error at batch size {largest} is {number(ended.mean())} %"
    there = [size for size in smaller if norm in comparison.errors(size)]
    if not there:
        return [f"{level}, and there is nothing to compare it with."]
    found = [difference(comparison.errors(size)[norm], ended) for size in there]
    rises = family([(norm, size) for size in there], found)
    return [f"{level}.", *(_rise(gap, largest) for gap in rises)]


def _rise(gap: Gap, largest: int) -> str:
    paired = gap.difference.paired
    at = f"at batch size {gap.batch_size}"
    if np.isnan(paired.value):
        return f"No seed has ended both {at} and at {largest}."
    if np.isnan(paired.half_width):
        return (
            f"{at.capitalize()} it is {signed(paired.value)} points from that "
            f"({counted(paired.num, 'seed')}, no interval)."
        )
    if gap.distinguishable:
        side = "higher" if paired.value > 0 else "lower"
        return (
            f"{at.capitalize()} it is {number(abs(paired.value))} points {side} ({interval(gap)})."
        )
    return (
        f"{at.capitalize()} it is not distinguishable from that with "
        f"{counted(paired.num, 'seed')}: the difference is {signed(paired.value)} points "
        f"({interval(gap)})."
    )
