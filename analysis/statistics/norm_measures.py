"""Every robustness measure of every norm of a comparison, summarised over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import Mean, proportion_interval, t_interval
from analysis.statistics.robustness import (
    auec,
    degradation,
    error_table,
    last_octave_slope,
    regret,
    relative_degradation,
    safe_range,
    slope,
    split_regret,
    worst_case,
    worst_rise,
)

MARGIN, MARGIN_MANY_CLASSES = 0.5, 1.0


@dataclass(frozen=True)
class Measures:
    """One norm's measures over the common batch sizes; points are percentage points of error.

    `degradation` is D at the smallest batch size, `relative` the logarithm of it as a factor,
    `rise` the highest over the best larger batch size, `safe` in octaves, `regret_*` plugged in
    and `split_regret_*` with the best chosen on other seeds, over the batch sizes at which some
    norm has learnt something.
    """

    norm: str
    auec: Mean
    degradation: Mean
    relative: Mean
    slope: Mean
    last_octave: Mean
    rise: float
    worst: float
    safe: float
    diverged: int
    ended: int
    regret_mean: float
    regret_max: float
    split_regret_mean: float
    split_regret_max: float

    @property
    def divergence_interval(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval of the fraction that diverges."""
        return proportion_interval(self.diverged, self.ended) if self.ended else (np.nan, np.nan)


def default_margin(comparison: Comparison) -> float:
    """The difference in error that is taken to be no difference, in percentage points.

    0.5 with up to ten classes (as for CIFAR-10) and 1 with more (as for CIFAR-100), told apart
    by the error of guessing.
    """
    chance = comparison.trials["chance_error"].max()
    return MARGIN_MANY_CLASSES if chance > 90 else MARGIN


def measure(comparison: Comparison, margin: float, rng: np.random.Generator) -> dict[str, Measures]:
    """Each norm's measures; `margin` (points) bounds the safe range, `rng` draws seed halves."""
    sizes = comparison.common_batch_sizes
    if not sizes:
        return {}
    tables = {norm: error_table(comparison.scored, norm, sizes) for norm in comparison.norms}
    learnt = [b for b in sizes if any((norm, b) not in comparison.at_chance for norm in tables)]
    above = {norm: table[learnt] for norm, table in tables.items()}
    plain, split = regret(above), split_regret(above, rng)
    return {
        norm: _measures(comparison, norm, tables[norm], margin, _summary(plain, split, norm))
        for norm in comparison.norms
    }


def _summary(plain: pd.DataFrame, split: pd.DataFrame, norm: str) -> dict[str, float]:
    """Mean and maximum over batch sizes of a norm's regrets; missing if one is missing."""
    result: dict[str, float] = {}
    for name, table in (("regret", plain), ("split_regret", split)):
        row = table.loc[[norm]].to_numpy(float)
        mean, most = (row.mean(), row.max()) if row.size else (np.nan, np.nan)
        result |= {f"{name}_mean": float(mean), f"{name}_max": float(most)}
    return result


def _measures(
    comparison: Comparison, norm: str, table: pd.DataFrame, margin: float, regrets: dict[str, float]
) -> Measures:
    def over_seeds(values: pd.Series[float]) -> Mean:
        return t_interval(np.asarray(values, dtype=np.float64))

    ended = comparison.scored[comparison.scored["norm"] == norm]
    return Measures(
        norm=norm,
        auec=over_seeds(auec(table)),
        degradation=over_seeds(degradation(table).iloc[:, -1]),
        relative=over_seeds(relative_degradation(table).iloc[:, -1]),
        slope=over_seeds(slope(table)),
        last_octave=over_seeds(last_octave_slope(table)),
        rise=worst_rise(table),
        worst=worst_case(table),
        safe=safe_range(table, margin, [(norm, b) not in comparison.at_chance for b in table]),
        diverged=int(ended["diverged"].sum()),
        ended=len(ended),
        **regrets,
    )
