"""What the seeds can show: intervals, paired differences and their adjustment.

Seeds are the replicates. Norms share a seed's initial weights and data order, so differences are
taken per seed. Intervals are Student's t: bootstrap intervals, percentile or BCa, cover far less
than they promise below ten seeds. Fewer than `MIN_SEEDS` seeds give no interval at all.

The distributions are scipy's special functions: importing statsmodels or `scipy.stats` for them
would take longer than the whole report. The tests hold every result to those two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from analysis.errors import InputError

MIN_SEEDS = 3
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


@dataclass(frozen=True)
class Difference:
    """`norm` minus `reference` over their common seeds, and beside it what pairing did.

    `p` is of the paired t test, `welch` the same comparison without pairing, `correlation` the
    observed correlation between the two norms over seeds.
    """

    paired: Mean
    p: float
    welch: Mean
    welch_p: float
    correlation: float


def difference(norm: pd.Series[Any], reference: pd.Series[Any]) -> Difference:
    """Compare two norms' values, each indexed by seed; missing values drop their seed."""
    first, second = _paired(norm, reference)
    mean = t_interval(first - second)
    welch, welch_p = _welch(norm.dropna().to_numpy(float), reference.dropna().to_numpy(float))
    correlation = np.nan
    if len(first) >= MIN_SEEDS and min(np.ptp(first), np.ptp(second)) > SAME:
        correlation = float(np.corrcoef(first, second)[0, 1])
    return Difference(mean, t_test(mean), welch, welch_p, correlation)


def paired_mean(first: pd.Series[Any], second: pd.Series[Any]) -> Mean:
    """Mean of `first` minus `second` over common seeds, as `difference` has it and no more."""
    values, others = _paired(first, second)
    return t_interval(values - others)


def _paired(first: pd.Series[Any], second: pd.Series[Any]) -> tuple[Floats, Floats]:
    """The values of both at the seeds for which neither is missing."""
    _, here, there = np.intersect1d(
        first.index.to_numpy(), second.index.to_numpy(), return_indices=True
    )
    both = np.stack([first.to_numpy(float)[here], second.to_numpy(float)[there]])
    kept = both[:, ~np.isnan(both).any(axis=0)]
    return kept[0], kept[1]


def _welch(first: Floats, second: Floats) -> tuple[Mean, float]:
    """Welch's interval and p for the difference of two means (Welch 1947)."""
    sizes = (len(first), len(second))
    value = float(first.mean() - second.mean()) if min(sizes) else np.nan
    if min(sizes) < MIN_SEEDS or max(np.ptp(first), np.ptp(second)) <= SAME:
        return Mean(value, np.nan, np.nan, min(sizes)), np.nan
    parts = np.array([first.var(ddof=1) / sizes[0], second.var(ddof=1) / sizes[1]])
    se = float(np.sqrt(parts.sum()))
    df = parts.sum() ** 2 / (parts**2 / (np.array(sizes) - 1)).sum()
    half_width = float(special.stdtrit(df, (1 + CONFIDENCE) / 2) * se)
    p = float(2 * special.stdtr(df, -abs(value / se)))
    return Mean(value, np.nan, half_width, min(sizes)), p


def holm(p: Sequence[float] | Floats) -> Floats:
    """Holm's step-down adjustment of a family of p values; missing ones are not of the family.

    Holm (1979): the i-th smallest of m is multiplied by m - i + 1, and none may fall below the
    one before it.
    """
    given = np.asarray(p, dtype=float)
    order = np.argsort(given)[: np.count_nonzero(~np.isnan(given))]
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(given.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def equivalence(mean: Mean, margin: float) -> float:
    """p of two one-sided tests that a mean difference lies within ±`margin` (Schuirmann 1987).

    Equivalence may be claimed where it is small. Missing where the mean has no interval.
    """
    if not margin > 0:
        raise InputError(f"`margin > 0` must hold, but got margin={margin}")
    if np.isnan(mean.half_width):
        return np.nan
    se = mean.sd / np.sqrt(mean.num)
    return float(special.stdtr(mean.num - 1, (abs(mean.value) - margin) / se))


def proportion_interval(count: int, num: int) -> tuple[float, float]:
    """Clopper and Pearson's exact 95 % interval of a proportion, as fractions."""
    tail = (1 - CONFIDENCE) / 2
    low = float(special.betaincinv(count, num - count + 1, tail)) if count else 0.0
    high = float(special.betaincinv(count + 1, num - count, 1 - tail)) if count < num else 1.0
    return low, high


def smallest_detectable(num: int, power: float = 0.8, alpha: float = ALPHA) -> float:
    """The difference that `num` paired seeds find with `power`, in sd of the differences.

    Two-sided paired t test at level `alpha`, by the noncentral t distribution.
    """
    if num < 2:
        return np.nan
    critical = special.stdtrit(num - 1, 1 - alpha / 2)
    return float(special.nctdtrinc(num - 1, 1 - power, critical) / np.sqrt(num))


def seeds_needed(
    gap: float, sd: float, power: float = 0.8, most: int = 1000, alpha: float = ALPHA
) -> int | None:
    """The fewest seeds that find a difference `gap` with `power`, or None above `most`.

    `sd` is the standard deviation over seeds of the paired difference, in the unit of `gap`;
    `alpha` the level of the two-sided test.
    """
    fewest, enough = MIN_SEEDS, most
    if smallest_detectable(most, power, alpha) * sd > gap:
        return None
    while fewest < enough:
        middle = (fewest + enough) // 2
        if smallest_detectable(middle, power, alpha) * sd <= gap:
            enough = middle
        else:
            fewest = middle + 1
    return enough
