"""How often one norm beats another: the probability of a lower error in a further trial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.statistics.inference.intervals import (
    ROUNDING_TOLERANCE,
    estimate_proportion_interval,
)


@dataclass(frozen=True)
class WinProbability:
    """Probability that a norm has a lower error than the reference under the same seed.

    Ties count as half a win in `value`; in the interval they count against either claim, as losses
    at its lower end and as wins at its upper. `num` counts the pairs.
    """

    value: float
    low: float
    high: float
    num: int


def estimate_win_probability(differences: npt.NDArray[np.float64]) -> WinProbability:
    """Estimate the probability that a norm beats the reference (Bouthillier et al. 2021).

    The interval is Clopper and Pearson's exact one, where the source bootstraps: percentile
    intervals cover too little with few seeds. Bouthillier et al. call a difference meaningful
    from a probability of 0.75 on.

    Args:
        differences: error of the norm minus that of the reference, one per independent pair.

    >>> found = estimate_win_probability(np.array([-1.0, -0.5, -0.2, 0.3]))
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (0.75, 0.19, 0.99)
    """
    kept = differences[~np.isnan(differences)]
    num = len(kept)
    if num == 0:
        return WinProbability(np.nan, np.nan, np.nan, 0)
    ties = int(np.count_nonzero(np.abs(kept) <= ROUNDING_TOLERANCE))
    wins = int(np.count_nonzero(kept < -ROUNDING_TOLERANCE))
    low, _ = estimate_proportion_interval(wins, num)
    _, high = estimate_proportion_interval(wins + ties, num)
    return WinProbability((wins + ties / 2) / num, low, high, num)
