"""Means over seeds and their intervals.

Seeds are the replicates. Intervals are Student's t: bootstrap intervals, percentile or BCa, cover
far less than they promise below ten seeds. Fewer than `MIN_SEEDS` seeds give no interval.

The distributions are scipy's special functions: importing statsmodels or `scipy.stats` for them
would take longer than the whole report. The tests hold every result to those two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

MIN_SEEDS = 3
"""Seeds below which no interval is given."""
ROUNDING_TOLERANCE = 1e-9
"""Values that differ by no more are equal but for rounding, whatever their unit."""
CONFIDENCE = 0.95
ALPHA = 0.05

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SeedMean:
    """A mean over `num` seeds: `low` to `high` is its 95 % interval, missing below three seeds."""

    value: float
    sd: float
    half_width: float
    num: int

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.half_width


def estimate_mean(values: Sequence[float] | Floats, confidence: float = CONFIDENCE) -> SeedMean:
    """Return the mean of `values` and its Student t interval; missing values are left out.

    The interval is missing for fewer than `MIN_SEEDS` values, and where all are equal (to within
    `ROUNDING_TOLERANCE`, as 8.29 - 8.19 is not quite 8.54 - 8.44): no spread among so few seeds is
    no evidence of certainty.

    >>> mean = estimate_mean([6.0, 7.0, 8.0])
    >>> mean.value, round(mean.half_width, 2), mean.num
    (7.0, 2.48, 3)
    """
    kept = np.asarray(values, dtype=float)
    kept = kept[~np.isnan(kept)]
    num = len(kept)
    mean = float(kept.mean()) if num else np.nan
    sd = float(kept.std(ddof=1)) if num > 1 else np.nan
    if num < MIN_SEEDS or np.ptp(kept) <= ROUNDING_TOLERANCE:
        return SeedMean(mean, sd, np.nan, num)
    quantile = special.stdtrit(num - 1, (1 + confidence) / 2)
    return SeedMean(mean, sd, float(quantile * sd / np.sqrt(num)), num)


def test_zero_mean(mean: SeedMean) -> float:
    """Return the two-sided p of a mean of 0; missing where the mean has no interval."""
    if np.isnan(mean.half_width):
        return np.nan
    t = mean.value / (mean.sd / np.sqrt(mean.num))
    return float(2 * special.stdtr(mean.num - 1, -abs(t)))


def compute_upper_bound(values: Sequence[float] | Floats, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided upper bound of the mean; missing where there is no interval."""
    return estimate_mean(values, 2 * confidence - 1).high


def estimate_proportion_interval(count: int, num: int) -> tuple[float, float]:
    """Return Clopper and Pearson's exact 95 % interval of a proportion, as fractions."""
    tail = (1 - CONFIDENCE) / 2
    low = float(special.betaincinv(count, num - count + 1, tail)) if count else 0.0
    high = float(special.betaincinv(count + 1, num - count, 1 - tail)) if count < num else 1.0
    return low, high
