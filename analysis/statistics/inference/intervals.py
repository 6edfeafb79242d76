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
SAME = 1e-9
"""Values that differ by no more are equal but for rounding, whatever their unit."""
CONFIDENCE = 0.95
ALPHA = 0.05

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
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


def t_interval(values: Sequence[float] | Floats, confidence: float = CONFIDENCE) -> Mean:
    """Mean and Student t interval of `values` (any unit); missing values are left out.

    No interval is given for fewer than `MIN_SEEDS` values, nor where all are equal (to within
    `SAME`, as 8.29 - 8.19 is not quite 8.54 - 8.44): no spread among so few seeds is no evidence
    of certainty.
    """
    kept = np.asarray(values, dtype=float)
    kept = kept[~np.isnan(kept)]
    num = len(kept)
    mean = float(kept.mean()) if num else np.nan
    sd = float(kept.std(ddof=1)) if num > 1 else np.nan
    if num < MIN_SEEDS or np.ptp(kept) <= SAME:
        return Mean(mean, sd, np.nan, num)
    quantile = special.stdtrit(num - 1, (1 + confidence) / 2)
    return Mean(mean, sd, float(quantile * sd / np.sqrt(num)), num)


def t_test(mean: Mean) -> float:
    """Two-sided p of a mean of 0; missing where the mean has no interval."""
    if np.isnan(mean.half_width):
        return np.nan
    t = mean.value / (mean.sd / np.sqrt(mean.num))
    return float(2 * special.stdtr(mean.num - 1, -abs(t)))


def upper_bound(values: Sequence[float] | Floats, confidence: float = CONFIDENCE) -> float:
    """One-sided upper bound of the mean; missing where `t_interval` gives no interval."""
    return t_interval(values, 2 * confidence - 1).high


def proportion_interval(count: int, num: int) -> tuple[float, float]:
    """Clopper and Pearson's exact 95 % interval of a proportion, as fractions."""
    tail = (1 - CONFIDENCE) / 2
    low = float(special.betaincinv(count, num - count + 1, tail)) if count else 0.0
    high = float(special.betaincinv(count + 1, num - count, 1 - tail)) if count < num else 1.0
    return low, high
