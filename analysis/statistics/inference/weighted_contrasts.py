"""Weighted sums over batch sizes of paired differences: level and robustness of a norm.

A contrast of a norm against the reference is `sum_b w_b dbar_b`, where `dbar_b` is the mean over
seeds of the difference in test error at batch size b (percentage points). Two sets of weights are
declared: those of the area under the error curve (level), and those of the degradation from the
largest to the smallest batch size (robustness).

Which test a contrast gets follows from the design of the sweep, never from its results:

* streams that depend on (seed, batch size): batch sizes are independent replicates, and their
  variances add up (`combined_estimate`);
* streams that depend on the seed alone: the differences of one seed are correlated over batch
  sizes, so that the contrast is computed per seed first (`paired_estimate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from analysis.errors import AnalysisError
from analysis.statistics.inference.intervals import MIN_SEEDS, ROUNDING_TOLERANCE
from analysis.statistics.robustness import count_halvings

Floats = npt.NDArray[np.float64]

MAX_EXACT_FLIPS = 20
"""Sign flips of up to so many differences are enumerated (a million sums), more are drawn."""

NUM_DRAWN_FLIPS = 100_000
DRAWN_FLIPS_SEED = 0


@dataclass(frozen=True)
class Estimate:
    """An estimated contrast: percentage points, with `df` degrees of freedom of its error.

    `num` counts the seeds behind it (the fewest of any batch size). `standard_error` and `df` are
    missing where the seeds give no test: fewer than `MIN_SEEDS`, or no spread among them.
    """

    value: float
    standard_error: float
    df: float
    num: int

    @property
    def p(self) -> float:
        """Two-sided p of a contrast of 0; missing where there is no test."""
        if np.isnan(self.standard_error):
            return np.nan
        return float(2 * special.stdtr(self.df, -abs(self.value) / self.standard_error))

    def half_width(self, alpha: float) -> float:
        """Return the half width of the interval that covers with probability 1 - `alpha`."""
        if np.isnan(self.standard_error):
            return np.nan
        return float(special.stdtrit(self.df, 1 - alpha / 2) * self.standard_error)

    def lies_within(self, margin: float, alpha: float) -> bool:
        """Return whether the interval of level 1 - `alpha` lies within ±`margin`.

        At `alpha` = 0.1 these are the two one-sided tests of Schuirmann (1987) at 5 %.
        """
        return bool(abs(self.value) + self.half_width(alpha) < margin)


def level_weights(batch_sizes: Sequence[int]) -> Floats:
    """Weights of the trapezoidal area under the error against log2 of the batch size; sum 1.

    Args:
        batch_sizes: from large to small.

    >>> level_weights([64, 16, 4, 2]).tolist()
    [0.2, 0.4, 0.3, 0.1]
    """
    if len(batch_sizes) == 1:
        return np.ones(1)
    steps = np.diff(count_halvings(batch_sizes)) / 2
    weights = np.concatenate([steps, [0.0]]) + np.concatenate([[0.0], steps])
    normalised: Floats = weights / weights.sum()
    return normalised


def robustness_weights(batch_sizes: Sequence[int]) -> Floats:
    """Weights of the degradation D(b_min) = e(b_min) - e(b_max).

    Raises:
        AnalysisError: for fewer than two batch sizes.

    >>> robustness_weights([64, 16, 4, 2]).tolist()
    [-1.0, 0.0, 0.0, 1.0]
    """
    if len(batch_sizes) < 2:
        raise AnalysisError("a degradation needs at least two batch sizes")
    weights = np.zeros(len(batch_sizes))
    weights[0], weights[-1] = -1.0, 1.0
    return weights


def combined_estimate(differences: Sequence[Floats], weights: Floats) -> Estimate:
    """Estimate a contrast from batch sizes that are independent replicates of one another.

        V  = sum_b V_b,   V_b = w_b^2 s_b^2 / n_b
        df = (sum_b u_b)^2 / sum_b u_b^2 / (n_b - 1),   u_b = V_b, and 2 V_b for the largest V_b

    These are the degrees of freedom of Satterthwaite (1946) with the noisiest batch size counted
    double. Where one batch size has nearly all of the noise, a variance that three seeds
    underestimate makes both t and Satterthwaite's degrees of freedom too large: families of eight
    then hold a false claim 7.8 % of the time, and 5.4 % with the noisiest counted double
    (simulated). Variances are not pooled: norms and batch sizes differ in noise, and a pooled
    variance makes up to 17 % false claims.

    Args:
        differences: per batch size the differences norm minus reference, one per common seed.
        weights: one per batch size; those of weight 0 are left out.
    """
    used = [(values, w) for values, w in zip(differences, weights, strict=True) if w != 0]
    num = min(len(values) for values, _ in used)
    if num == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = float(sum(w * values.mean() for values, w in used))
    if num < MIN_SEEDS:
        return Estimate(value, np.nan, np.nan, num)
    parts = np.array([w**2 * _variance(values) / len(values) for values, w in used])
    if parts.sum() == 0:
        return Estimate(value, np.nan, np.nan, num)
    per_df = np.array([len(values) - 1 for values, _ in used])
    counted = parts.copy()
    counted[np.argmax(counted)] *= 2
    df = counted.sum() ** 2 / (counted**2 / per_df).sum()
    return Estimate(value, float(np.sqrt(parts.sum())), float(df), num)


def paired_estimate(differences: Floats, weights: Floats) -> Estimate:
    """Estimate a contrast from its value per seed, by Student's t.

    Args:
        differences: norm minus reference; rows are seeds, columns batch sizes. A seed without a
            value at a batch size of non-zero weight is left out.
        weights: one per batch size.
    """
    used = weights != 0
    values = differences[:, used] @ weights[used]
    values = values[~np.isnan(values)]
    num = len(values)
    value = float(values.mean()) if num else np.nan
    variance = _variance(values) if num >= MIN_SEEDS else 0.0
    if variance == 0:
        return Estimate(value, np.nan, np.nan, num)
    return Estimate(value, float(np.sqrt(variance / num)), num - 1.0, num)


def _variance(values: Floats) -> float:
    """Sample variance; 0 where all values are equal but for rounding."""
    return float(values.var(ddof=1)) if np.ptp(values) > ROUNDING_TOLERANCE else 0.0


def sign_flip_p(differences: Sequence[Floats], weights: Floats) -> float:
    """p of a contrast of 0 by flipping the signs of differences over (seed, batch size).

    Exact where the differences are independent and symmetric about 0 without an effect (Fisher
    1935). All sign patterns are enumerated for up to `MAX_EXACT_FLIPS` differences, above that
    `NUM_DRAWN_FLIPS` patterns are drawn from a fixed seed, the observed one counted among them.
    Missing without a difference.

    Args:
        differences: per batch size the differences norm minus reference, one per common seed.
        weights: one per batch size; those of weight 0 are left out.
    """
    used = [(values, w) for values, w in zip(differences, weights, strict=True) if w != 0]
    if not all(len(values) for values, _ in used):
        return np.nan
    terms = np.concatenate([w * values / len(values) for values, w in used])
    terms = terms[np.abs(terms) > 0]
    observed = abs(terms.sum())
    if len(terms) <= MAX_EXACT_FLIPS:
        sums = np.zeros(1)
        for term in terms:
            sums = np.concatenate([sums + term, sums - term])
        return float(np.mean(np.abs(sums) >= observed - ROUNDING_TOLERANCE))
    rng = np.random.default_rng(DRAWN_FLIPS_SEED)
    hits = 0
    for _ in range(0, NUM_DRAWN_FLIPS, 1000):
        signs = rng.integers(0, 2, (1000, len(terms)), dtype=np.int8) * 2 - 1
        hits += int(np.count_nonzero(np.abs(signs @ terms) >= observed - ROUNDING_TOLERANCE))
    return (hits + 1) / (NUM_DRAWN_FLIPS + 1)
