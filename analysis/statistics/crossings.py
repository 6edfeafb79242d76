"""Norms that are better than the reference at one batch size and worse at another."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.statistics.at_chance import are_both_at_chance
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Contrast


@dataclass(frozen=True)
class Crossing:
    """A norm whose difference from the reference is significant with both signs.

    `larger` is the contrast at the larger of the two batch sizes, `smaller` that at the smaller.
    """

    norm: str
    larger: Contrast
    smaller: Contrast


def find_crossings(comparison: Comparison) -> dict[str, Crossing]:
    """Return by norm the pair of batch sizes, as far apart as possible, at which its sign differs.

    Both differences are significant after Holm's adjustment over all single batch sizes.
    """
    found: dict[str, Crossing] = {}
    for norm in comparison.distinct_norms[1:]:
        tested = [
            gap
            for gap in comparison.cell_contrasts
            if gap.norm == norm and gap.is_significant and not are_both_at_chance(comparison, gap)
        ]
        pairs = [
            (first, second)
            for place, first in enumerate(tested)
            for second in tested[place + 1 :]
            if first.value * second.value < 0
        ]
        if pairs:
            widest = max(pairs, key=_compute_ratio)
            found[norm] = Crossing(norm, *widest)
    return found


def _compute_ratio(pair: tuple[Contrast, Contrast]) -> float:
    """Return the larger batch size of two contrasts over the smaller."""
    sizes = [gap.batch_size or 1 for gap in pair]
    return sizes[0] / sizes[1]
