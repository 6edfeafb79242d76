"""Sentences on norms that cannot be paired with the reference, seed by seed."""

from __future__ import annotations

import numpy as np

from analysis.formatting import (
    choose_digits,
    format_interval,
    format_number,
    format_p_relation,
    join_words,
)
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Contrast, adjust_holm
from analysis.statistics.inference.intervals import ALPHA, SeedMean


def describe_unpaired(comparison: Comparison, scope: str) -> list[str]:
    """Return sentences on why nothing can be paired, and Welch's results (Welch 1947).

    Args:
        comparison: norms of which none has a complete seed in common with the reference.
        scope: beginning of the sentence: the batch sizes that it holds for.
    """
    name = comparison.reference
    whole = [norm for norm in comparison.norms if len(comparison.auec[norm])]
    if not whole:
        return [f"{scope}: no norm has a seed with a result at every batch size."]
    if name not in whole:
        return [
            f"{scope}: the reference {describe_incomplete_norm(comparison, name)}; try "
            f"--reference {whole[0]}."
        ]
    if whole == [name]:
        return [
            f"{scope}: no norm but the reference {name} has a seed with a result at every batch "
            "size."
        ]
    others = [norm for norm in whole if norm != name]
    apart = f"{join_words(whole)} have no seed in common, so nothing can be paired"
    if len(others) > 1:
        apart = (
            f"{name} has no seed in common with {join_words(others, len(others))}, so nothing can "
        )
        apart += "be paired with it"
    return [
        f"{scope}, {apart}. Unpaired, by Welch's test, which sees less and takes each norm's seeds "
        "for a sample of their own:",
        *_describe_welch_results(comparison),
    ]


def describe_incomplete_norm(comparison: Comparison, norm: str) -> str:
    """Return a clause that `norm` has no complete seed, with its batch sizes without a result."""
    sizes = comparison.common_batch_sizes
    without = [size for size in sizes if not len(comparison.get_errors(size).get(norm, ()))]
    lacks = f" (none at {join_words(without)})" if without else ""
    return f"{norm} has no seed with a result at every batch size{lacks}"


def _describe_welch_results(comparison: Comparison) -> list[str]:
    """Return a sentence on each norm's unpaired difference from the reference."""
    gaps = comparison.declared_contrasts
    beside = [p for item in comparison.others for p in item.declared_p]
    adjusted = adjust_holm([*comparison.declared_p, *beside])[: len(gaps)]
    return [
        _describe_welch_result(gap, comparison.reference, float(p))
        for gap, p in zip(gaps, adjusted, strict=True)
    ]


def _describe_welch_result(contrast: Contrast, reference: str, p: float) -> str:
    """Return a sentence on one unpaired difference."""
    welch: SeedMean = contrast.difference.welch
    if np.isnan(welch.value):
        return f"{contrast.norm} has no seed with a result at every batch size."
    side = "higher" if welch.value > 0 else "lower"
    points = format_number(abs(welch.value), choose_digits(welch))
    size = f"{contrast.norm}'s mean error is {points} points {side} than {reference}'s"
    if np.isnan(p):
        return f"{size} (too few seeds for an interval)."
    apart = "" if p < ALPHA else ", which is not distinguishable from none"
    return (
        f"{size}{apart} (95 % interval {format_interval(welch)}, Holm-adjusted p "
        f"{format_p_relation(p)}, unpaired)."
    )
