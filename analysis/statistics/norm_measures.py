"""The robustness measures of each norm in a comparison, summarised over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.statistics.comparison import Comparison
from analysis.statistics.failure_rates import compute_failure_rates
from analysis.statistics.inference.intervals import SeedMean, estimate_mean
from analysis.statistics.robustness import (
    compute_auec,
    compute_degradation,
    compute_last_octave_slope,
    compute_relative_degradation,
    compute_safe_range,
    compute_slope,
    tabulate_norm_errors,
)
from analysis.statistics.selection_bias import (
    RegretEstimates,
    SelectedEstimate,
    estimate_regrets,
    estimate_worst_case,
    estimate_worst_rise,
)

DEFAULT_MARGIN, DEFAULT_MARGIN_MANY_CLASSES = 0.5, 1.0


@dataclass(frozen=True)
class NormMeasures:
    """One norm's measures over the common batch sizes; points are percentage points of error.

    Attributes: auec: area under the error curve, percent. degradation: D at the smallest batch
    size, points. relative: logarithm of the error's ratio, smallest batch size to largest. slope,
    last_octave: points per halving of the batch. rise: highest rise over the best larger batch
    size, points. worst: highest mean error, percent. safe: safe range, octaves. safe_seeds: seeds
    at the batch size with the fewest. diverged, ended: numbers of trials. regret_mean, regret_max:
    regret over batch sizes, points. split_regret_mean, split_regret_max: regret with the best norm
    chosen on other seeds.

    Regret is over the batch sizes at which some norm is better than chance. Flatness is judged by
    `rise` and `safe`, which a U-shaped error cannot hide from, as it can from `slope`.
    """

    norm: str
    auec: SeedMean
    degradation: SeedMean
    relative: SeedMean
    slope: SeedMean
    last_octave: SeedMean
    rise: SelectedEstimate
    worst: SelectedEstimate
    safe: float
    safe_seeds: int
    diverged: int
    ended: int
    regret_mean: SelectedEstimate
    regret_max: SelectedEstimate
    split_regret_mean: SelectedEstimate
    split_regret_max: SelectedEstimate


def get_default_margin(comparison: Comparison) -> float:
    """Return the difference in error that counts as none, in percentage points.

    0.5 with up to ten classes (as for CIFAR-10) and 1 with more (as for CIFAR-100), by the error of
    guessing.
    """
    chance = comparison.trials["chance_error"].max()
    return DEFAULT_MARGIN_MANY_CLASSES if chance > 90 else DEFAULT_MARGIN


def compute_measures(
    comparison: Comparison, margin: float, rng: np.random.Generator
) -> dict[str, NormMeasures]:
    """Return each norm's measures.

    Args:
        comparison: the norms.
        margin: bound of the safe range, points.
        rng: draws the halves of seeds for split regret.
    """
    sizes = comparison.common_batch_sizes
    if not sizes:
        return {}
    tables = {
        norm: tabulate_norm_errors(comparison.scored, norm, sizes) for norm in comparison.norms
    }
    learnt = [b for b in sizes if any((norm, b) not in comparison.at_chance for norm in tables)]
    above = {norm: table[learnt] for norm, table in tables.items()}
    rates = compute_failure_rates(comparison)
    two_heaps = {key for key, rate in rates.items() if rate.is_partial and key[1] in sizes}
    regrets = estimate_regrets(above, rng, two_heaps)
    return {
        norm: _compute_norm_measures(
            comparison,
            norm,
            tables[norm],
            margin,
            regrets[norm],
            two_heaps=any(key[0] == norm for key in two_heaps),
        )
        for norm in comparison.norms
    }


def _compute_norm_measures(
    comparison: Comparison,
    norm: str,
    table: pd.DataFrame,
    margin: float,
    regrets: RegretEstimates,
    *,
    two_heaps: bool,
) -> NormMeasures:
    """Return the measures of one norm from its table of errors."""

    def over_seeds(values: pd.Series[float]) -> SeedMean:
        """Return the mean over seeds."""
        return estimate_mean(np.asarray(values, dtype=np.float64))

    ended = comparison.scored[comparison.scored["norm"] == norm]
    return NormMeasures(
        norm=norm,
        auec=over_seeds(compute_auec(table)),
        degradation=over_seeds(compute_degradation(table).iloc[:, -1]),
        relative=over_seeds(compute_relative_degradation(table).iloc[:, -1]),
        slope=over_seeds(compute_slope(table)),
        last_octave=over_seeds(compute_last_octave_slope(table)),
        rise=estimate_worst_rise(table, two_heaps=two_heaps),
        worst=estimate_worst_case(table, two_heaps=two_heaps),
        safe=compute_safe_range(
            table, margin, [(norm, b) not in comparison.at_chance for b in table]
        ),
        safe_seeds=int(table.notna().sum().min()),
        diverged=int(ended["diverged"].sum()),
        ended=len(ended),
        regret_mean=regrets.mean,
        regret_max=regrets.most,
        split_regret_mean=regrets.split_mean,
        split_regret_max=regrets.split_most,
    )
