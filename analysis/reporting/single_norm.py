"""Sentences on a norm without others: its rise with smaller batches."""

from __future__ import annotations

import numpy as np

from analysis.formatting import (
    choose_digits,
    format_contrast_interval,
    format_count,
    format_difference,
    format_number,
)
from analysis.statistics.comparison import Comparison
from analysis.statistics.contrasts import build_seed_contrast
from analysis.statistics.inference.differences import Difference, compute_difference
from analysis.statistics.inference.family import Contrast, adjust_family


def describe_single_norm(comparison: Comparison) -> list[str]:
    """Return sentences on a norm's error at each batch size against the largest; one family."""
    norm = comparison.reference
    largest = comparison.batch_sizes[0]
    ended = comparison.get_errors(largest).get(norm)
    if ended is None:
        return [f"{norm} is alone, and no trial of it at batch size {largest} has ended yet."]
    level = (
        f"{norm} is alone: its mean error at batch size {largest} is "
        f"{format_number(ended.mean())} %"
    )
    found = _compute_rises(comparison)
    if not found:
        return [f"{level}, and there is nothing to compare it with."]
    beside = [rise.p for item in comparison.others for rise in _compute_rises(item).values()]
    rises = adjust_family(
        [build_seed_contrast(norm, size, rise) for size, rise in found.items()], beside
    )
    return [f"{level}.", *(_describe_rise_over_largest(gap, largest) for gap in rises)]


def _compute_rises(comparison: Comparison) -> dict[int, Difference]:
    """Return the rise over the largest batch size by smaller one; empty with several norms."""
    norm, (largest, *smaller) = comparison.reference, comparison.batch_sizes
    ended = comparison.get_errors(largest).get(norm)
    if ended is None or len(comparison.distinct_norms) > 1:
        return {}
    errors = {size: comparison.get_errors(size).get(norm) for size in smaller}
    return {size: compute_difference(e, ended) for size, e in errors.items() if e is not None}


def _describe_rise_over_largest(contrast: Contrast, largest: int) -> str:
    """Return a sentence on the rise at one batch size."""
    at = f"at batch size {contrast.batch_size}"
    if np.isnan(contrast.value):
        return f"No seed has ended both {at} and at {largest}."
    if np.isnan(contrast.half_width):
        return (
            f"{at.capitalize()} it is {format_difference(contrast)} points from that "
            f"({format_count(contrast.num, 'seed')}, no interval)."
        )
    if contrast.is_significant:
        side = "higher" if contrast.value > 0 else "lower"
        points = format_number(abs(contrast.value), choose_digits(contrast))
        return (
            f"{at.capitalize()} it is {points} points {side} "
            f"({format_contrast_interval(contrast)})."
        )
    return (
        f"{at.capitalize()} it is not distinguishable from that with "
        f"{format_count(contrast.num, 'seed')}: the difference is "
        f"{format_difference(contrast)} points "
        f"({format_contrast_interval(contrast)})."
    )
