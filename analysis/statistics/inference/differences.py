"""Contrasts of two norms over seeds: paired, and Welch's unpaired result beside.

Norms share a seed's initial weights and data order, so differences are taken per seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.inference.intervals import (
    CONFIDENCE,
    MIN_SEEDS,
    ROUNDING_TOLERANCE,
    Floats,
    SeedMean,
    compute_t_test_p,
    estimate_mean,
)
from analysis.statistics.inference.weighted_contrasts import Estimate


@dataclass(frozen=True)
class Difference:
    """`norm` minus `reference`, paired by seed, with the unpaired result beside.

    Attributes: paired: mean difference over the seeds in common. p: p of the paired t test. welch,
    welch_p: the difference and its p without pairing. correlation: correlation between the two
    norms over seeds.
    """

    paired: SeedMean
    p: float
    welch: SeedMean
    welch_p: float
    correlation: float


def compute_difference(norm: pd.Series[Any], reference: pd.Series[Any]) -> Difference:
    """Return the difference of two norms' values, each indexed by seed; missing values drop their
    seed.
    """
    first, second = _pair_values(norm, reference)
    mean = estimate_mean(first - second)
    separate = estimate_welch(norm.dropna().to_numpy(float), reference.dropna().to_numpy(float))
    welch = SeedMean(separate.value, np.nan, separate.half_width(1 - CONFIDENCE), separate.num)
    correlation = np.nan
    if len(first) >= MIN_SEEDS and min(np.ptp(first), np.ptp(second)) > ROUNDING_TOLERANCE:
        correlation = float(np.corrcoef(first, second)[0, 1])
    return Difference(mean, compute_t_test_p(mean), welch, separate.p, correlation)


def compute_paired_mean(first: pd.Series[Any], second: pd.Series[Any]) -> SeedMean:
    """Return the mean of `first` minus `second` over common seeds, without Welch's result."""
    values, others = _pair_values(first, second)
    return estimate_mean(values - others)


def _pair_values(first: pd.Series[Any], second: pd.Series[Any]) -> tuple[Floats, Floats]:
    """Return the values of both at the seeds for which neither is missing."""
    _, here, there = np.intersect1d(
        first.index.to_numpy(), second.index.to_numpy(), return_indices=True
    )
    both = np.stack([first.to_numpy(float)[here], second.to_numpy(float)[there]])
    kept = both[:, ~np.isnan(both).any(axis=0)]
    return kept[0], kept[1]


def estimate_welch(first: Floats, second: Floats) -> Estimate:
    """Estimate the difference of two means of separate samples by Welch's test (Welch 1947)."""
    sizes = (len(first), len(second))
    value = float(first.mean() - second.mean()) if min(sizes) else np.nan
    if min(sizes) < MIN_SEEDS or max(np.ptp(first), np.ptp(second)) <= ROUNDING_TOLERANCE:
        return Estimate(value, np.nan, np.nan, min(sizes))
    parts = np.array([first.var(ddof=1) / sizes[0], second.var(ddof=1) / sizes[1]])
    df = parts.sum() ** 2 / (parts**2 / (np.array(sizes) - 1)).sum()
    return Estimate(value, float(np.sqrt(parts.sum())), float(df), min(sizes))
