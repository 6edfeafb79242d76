"""What is said where no norm can be paired with the reference, seed by seed."""

from __future__ import annotations

import numpy as np

from analysis.formatting import between, equals, listed, number
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Contrast, adjust_holm
from analysis.statistics.inference.intervals import ALPHA, SeedMean


def unpaired(comparison: Comparison, where: str) -> list[str]:
    """Why no seed is whole under the reference and another norm, and what is to be said then.

    Norms that are whole under seeds of their own are compared without pairing (Welch 1947).
    `where` begins the sentence: over which batch sizes it holds.
    """
    name = comparison.reference
    whole = [norm for norm in comparison.norms if len(comparison.auec[norm])]
    if not whole:
        return [f"{where}: no norm has a seed with a result at every batch size."]
    if name not in whole:
        return [f"{where}: the reference {lacking(comparison, name)}; try --reference {whole[0]}."]
    if whole == [name]:
        return [
            f"{where}: no norm but the reference {name} has a seed with a result at every batch "
            "size."
        ]
    others = [norm for norm in whole if norm != name]
    apart = f"{listed(whole)} have no seed in common, so nothing can be paired"
    if len(others) > 1:
        apart = f"{name} has no seed in common with {listed(others, len(others))}, so nothing can "
        apart += "be paired with it"
    return [
        f"{where}, {apart}. Unpaired, by Welch's test, which sees less and takes each norm's seeds "
        "for a sample of their own:",
        *_welch(comparison),
    ]


def lacking(comparison: Comparison, norm: str) -> str:
    """That `norm` has no whole seed, and at which batch sizes it has no result at all."""
    sizes = comparison.common_batch_sizes
    without = [size for size in sizes if not len(comparison.get_errors(size).get(norm, ()))]
    lacks = f" (none at {listed(without)})" if without else ""
    return f"{norm} has no seed with a result at every batch size{lacks}"


def _welch(comparison: Comparison) -> list[str]:
    gaps = comparison.declared_contrasts
    beside = [p for item in comparison.others for p in item.declared_p]
    adjusted = adjust_holm([*comparison.declared_p, *beside])[: len(gaps)]
    return [
        _one(gap, comparison.reference, float(p)) for gap, p in zip(gaps, adjusted, strict=True)
    ]


def _one(gap: Contrast, reference: str, p: float) -> str:
    welch: SeedMean = gap.difference.welch
    if np.isnan(welch.value):
        return f"{gap.norm} has no seed with a result at every batch size."
    side = "higher" if welch.value > 0 else "lower"
    size = f"{gap.norm}'s mean error is {number(abs(welch.value))} points {side} than {reference}'s"
    if np.isnan(p):
        return f"{size} (too few seeds for an interval)."
    apart = "" if p < ALPHA else ", which is not distinguishable from none"
    return f"{size}{apart} (95 % interval {between(welch)}, Holm-adjusted p {equals(p)}, unpaired)."
