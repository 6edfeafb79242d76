"""Contrasts of two norms over seeds: paired, and Welch's unpaired result beside.

Norms share a seed's initial weights and data order, so differences are taken per seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from analysis.statistics.inference.intervals import (
    CONFIDENCE,
    MIN_SEEDS,
    SAME,
    Floats,
    Mean,
    t_interval,
    t_test,
)


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
