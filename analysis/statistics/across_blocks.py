"""Norms over several data sets and networks (blocks): one effect with the blocks' own spread.

Each block gives a norm's difference from the reference and its standard error. A block's true
difference is taken as a draw from the population of such blocks, so that the interval tells what
to expect of a further block, and not only of those that were tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from analysis.statistics.inference.intervals import ALPHA

Floats = npt.NDArray[np.float64]

MIN_BLOCKS = 3
"""Fewer blocks give no interval: their spread cannot be told from two."""

MIN_PROFILE_BLOCKS = 10
"""Fewer blocks give no interquartile mean and no performance profile."""


@dataclass(frozen=True)
class RandomEffects:
    """Mean difference over blocks, percentage points.

    `half_width` is that of its 95 % interval, missing for fewer than `MIN_BLOCKS`; `between_sd`
    the standard deviation of the true differences between blocks.
    """

    value: float
    half_width: float
    between_sd: float
    num_blocks: int
    p: float


def estimate_random_effects(
    values: Sequence[float], standard_errors: Sequence[float]
) -> RandomEffects:
    """Estimate the mean difference over blocks.

    The variance between blocks is that of Paule and Mandel (1982), the interval that of Hartung
    and Knapp (2001) and Sidik and Jonkman (2002) with Student's t, which covers with few blocks;
    its variance is never below the one of known variances, so that blocks that agree by chance
    do not give an interval without a width.

    Args:
        values: per block the difference from the reference, percentage points.
        standard_errors: per block its standard error; blocks without one are left out.

    >>> estimate_random_effects([1.0, 2.0, 1.5], [0.2, 0.3, 0.2]).num_blocks
    3
    """
    effects, errors = np.asarray(values, dtype=float), np.asarray(standard_errors, dtype=float)
    known = ~np.isnan(effects) & (errors > 0)
    effects, variances = effects[known], errors[known] ** 2
    num = len(effects)
    if num == 0:
        return RandomEffects(np.nan, np.nan, np.nan, 0, np.nan)
    if num < MIN_BLOCKS:
        return RandomEffects(float(effects.mean()), np.nan, np.nan, num, np.nan)
    between = estimate_between_variance(effects, variances)
    weights = 1 / (variances + between)
    value = float(weights @ effects / weights.sum())
    scale = max(float(weights @ (effects - value) ** 2 / (num - 1)), 1.0)
    error = float(np.sqrt(scale / weights.sum()))
    return RandomEffects(
        value=value,
        half_width=float(special.stdtrit(num - 1, 1 - ALPHA / 2) * error),
        between_sd=float(np.sqrt(between)),
        num_blocks=num,
        p=float(2 * special.stdtr(num - 1, -abs(value) / error)),
    )


def estimate_between_variance(effects: Floats, variances: Floats) -> float:
    """Return the variance between true effects by Paule and Mandel's (1982) equation.

    It is the variance at which the weighted squares are as many as their degrees of freedom.

    Args:
        effects: estimated effects; shape (B,).
        variances: their sampling variances, above 0; shape (B,).
    """

    def excess(between: float) -> float:
        weights = 1 / (variances + between)
        mean = weights @ effects / weights.sum()
        return float(weights @ (effects - mean) ** 2) - (len(effects) - 1)

    if excess(0.0) <= 0:
        return 0.0
    upper = float(np.ptp(effects)) ** 2
    while excess(upper) > 0:
        upper *= 2
    return float(optimize.brentq(excess, 0.0, upper, xtol=1e-12))


def compute_interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean of the middle half of the values (Agarwal et al. 2021).

    A quarter of the values is left out at each end, whole values only, as `scipy.stats.trim_mean`.
    Missing for fewer than `MIN_PROFILE_BLOCKS` values.

    >>> compute_interquartile_mean([0, 0, 1, 2, 3, 4, 5, 6, 99, 99])
    3.5
    """
    kept = np.sort(np.asarray(values, dtype=float))
    kept = kept[~np.isnan(kept)]
    if len(kept) < MIN_PROFILE_BLOCKS:
        return np.nan
    cut = len(kept) // 4
    return float(kept[cut : len(kept) - cut].mean())


def compute_performance_profile(regrets: Floats, thresholds: Floats) -> Floats:
    """Return the share of blocks in which a norm is within each threshold of the best norm.

    Performance profiles of Dolan and Moré (2002), with differences in points in place of ratios.

    Args:
        regrets: per block the norm's error minus that of the block's best norm, points; shape (B,).
        thresholds: points; shape (T,).

    Returns:
        Shares from 0 to 1; shape (T,).
    """
    shares: Floats = (regrets[:, None] <= thresholds[None, :]).mean(axis=0)
    return shares
