"""How many seeds find which difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.statistics.inference.intervals import ALPHA, CONFIDENCE, MIN_SEEDS
from analysis.statistics.inference.weighted_contrasts import Estimate

POWER = 0.8


@dataclass(frozen=True)
class DetectableDifference:
    """The smallest difference (points) that is found with `POWER`, and its 95 % interval.

    The interval, `low` to `high`, is that of the standard deviation which the seeds estimate.
    """

    value: float
    low: float
    high: float


def estimate_detectable_difference(
    estimate: Estimate, power: float = POWER, alpha: float = ALPHA
) -> DetectableDifference:
    """Return the difference that a contrast's own test finds with `power` at the same seeds.

    Two-sided t test at level `alpha`, by the noncentral t distribution. The interval takes the
    squared standard error to be chi-square distributed with the degrees of freedom of the test.
    Missing where the contrast has no test.
    """
    if np.isnan(estimate.standard_error):
        return DetectableDifference(np.nan, np.nan, np.nan)
    value = _compute_noncentrality(estimate.df, power, alpha) * estimate.standard_error
    tail = (1 - CONFIDENCE) / 2
    lowest, highest = (
        2 * special.gammaincinv(estimate.df / 2, quantile) for quantile in (tail, 1 - tail)
    )
    return DetectableDifference(
        value,
        float(value * np.sqrt(estimate.df / highest)),
        float(value * np.sqrt(estimate.df / lowest)),
    )


def compute_detectable_difference(num: int, power: float = POWER, alpha: float = ALPHA) -> float:
    """Return the difference that `num` paired seeds find with `power`, in sd of the differences.

    Two-sided paired t test at level `alpha`, by the noncentral t distribution.

    >>> round(compute_detectable_difference(3), 2)
    3.26
    """
    if num < 2:
        return np.nan
    return _compute_noncentrality(num - 1, power, alpha) / float(np.sqrt(num))


def _compute_noncentrality(df: float, power: float, alpha: float) -> float:
    """Return the difference, in standard errors, that a t test finds with `power`."""
    return float(special.nctdtrinc(df, 1 - power, special.stdtrit(df, 1 - alpha / 2)))


def compute_seeds_needed(
    size: float,
    estimate: Estimate,
    power: float = POWER,
    max_seeds: int = 1000,
    alpha: float = ALPHA,
) -> int | None:
    """Return the fewest seeds that find a difference with `power`, or None above `max_seeds`.

    With n seeds in place of the `num` of the estimate its squared standard error is `num / n` times
    as large, and its degrees of freedom `(n - 1) / (num - 1)` times as many.

    Args:
        size: the difference, points.
        estimate: a contrast as estimated from the present seeds.
        power: probability of finding it.
        max_seeds: largest number of seeds considered.
        alpha: level of the two-sided test.
    """

    def finds(num: int) -> bool:
        """Return whether `num` seeds find the difference."""
        df = estimate.df * (num - 1) / (estimate.num - 1)
        error = estimate.standard_error * np.sqrt(estimate.num / num)
        return bool(_compute_noncentrality(df, power, alpha) * error <= size)

    fewest, enough = MIN_SEEDS, max_seeds
    if not finds(max_seeds):
        return None
    while fewest < enough:
        middle = (fewest + enough) // 2
        if finds(middle):
            enough = middle
        else:
            fewest = middle + 1
    return enough
