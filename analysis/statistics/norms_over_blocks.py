"""Each norm against the reference over several data sets and networks (blocks).

A block is a data set with a network. The variants of a block (learning rates, say) are trained on
the same data, so they are no further evidence of how a norm fares elsewhere: their differences are
averaged, and so are their standard errors, which holds for variants that vary together and is
cautious for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.statistics.across_blocks import (
    MIN_BLOCKS,
    MIN_PROFILE_BLOCKS,
    RandomEffects,
    compute_interquartile_mean,
    compute_performance_profile,
    estimate_random_effects,
)
from analysis.statistics.at_chance import is_uninformative
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Measure, adjust_holm
from analysis.statistics.ranks import tabulate_blocks

PROFILE_THRESHOLDS = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Differences from a block's best norm (points) at which the performance profile is given."""


@dataclass(frozen=True)
class NormOverBlocks:
    """A norm's difference from the reference over blocks.

    Attributes: norm, reference: labels. effect: mean difference in AUEC over blocks, points.
    p_adjusted: its p, adjusted by Holm over the norms. interquartile_mean: mean of the middle half
    of the blocks' differences, points; profile: share of blocks in which the norm's AUEC lies
    within each of `PROFILE_THRESHOLDS` of the block's best. Both are missing (`profile` empty)
    below `MIN_PROFILE_BLOCKS` blocks.
    """

    norm: str
    reference: str
    effect: RandomEffects
    p_adjusted: float
    interquartile_mean: float
    profile: tuple[float, ...] = ()


def compare_over_blocks(comparisons: Sequence[Comparison]) -> tuple[NormOverBlocks, ...]:
    """Return each norm's difference over blocks; empty below `MIN_BLOCKS` blocks.

    A norm is left out in a block where it or the reference is at chance, or where it shares no seed
    with the reference; and everywhere with fewer than `MIN_BLOCKS` blocks with a standard error.
    """
    if not comparisons:
        return ()
    reference = comparisons[0].reference
    effects = _tabulate_effects([c for c in comparisons if c.reference == reference])
    if effects.empty or effects["block"].nunique() < MIN_BLOCKS:
        return ()
    profiles = _compute_profiles(comparisons)
    found = []
    for norm in dict.fromkeys(effects["norm"]):
        rows = effects[effects["norm"] == norm].groupby("block", sort=False).mean(numeric_only=True)
        values = rows["difference"].to_numpy(float)
        effect = estimate_random_effects(list(values), list(rows["standard_error"]))
        if effect.num_blocks >= MIN_BLOCKS:
            found.append((norm, effect, compute_interquartile_mean(list(values))))
    adjusted = adjust_holm([effect.p for _, effect, _ in found])
    return tuple(
        NormOverBlocks(norm, reference, effect, float(p), middle, profiles.get(norm, ()))
        for (norm, effect, middle), p in zip(found, adjusted, strict=True)
    )


def _tabulate_effects(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return a row per comparison and norm: block, difference (points) and standard error."""
    rows = []
    for item in comparisons:
        block = _get_block(item)
        rows += [
            (block, gap.norm, gap.value, gap.estimate.standard_error)
            for gap in item.get_declared_contrasts(Measure.LEVEL)
            if gap.estimate.num and not is_uninformative(item, gap.norm)
        ]
    return pd.DataFrame(rows, columns=["block", "norm", "difference", "standard_error"])


def _get_block(comparison: Comparison) -> str:
    """Return the name of a comparison's block."""
    first = comparison.trials.iloc[0]
    return " ".join(filter(None, (first["dataset"], first["edition"], first["model"])))


def _compute_profiles(comparisons: Sequence[Comparison]) -> dict[str, tuple[float, ...]]:
    """Return the performance profile of each norm with an AUEC in every block; empty if few."""
    levels = tabulate_blocks(comparisons).dropna(axis=1)
    if len(levels) < MIN_PROFILE_BLOCKS:
        return {}
    thresholds: npt.NDArray[np.float64] = np.array(PROFILE_THRESHOLDS)
    regrets = levels.sub(levels.min(axis=1), axis=0).round(9)
    return {
        str(norm): tuple(
            float(share)
            for share in compute_performance_profile(regrets[norm].to_numpy(float), thresholds)
        )
        for norm in regrets
    }
