"""How many seeds find which difference."""

from __future__ import annotations

import numpy as np
from scipy import special

from analysis.statistics.inference.intervals import ALPHA, MIN_SEEDS


def compute_detectable_difference(num: int, power: float = 0.8, alpha: float = ALPHA) -> float:
    """Return the difference that `num` paired seeds find with `power`, in sd of the differences.

    Two-sided paired t test at level `alpha`, by the noncentral t distribution.

    >>> round(compute_detectable_difference(3), 2)
    3.26
    """
    if num < 2:
        return np.nan
    critical = special.stdtrit(num - 1, 1 - alpha / 2)
    return float(special.nctdtrinc(num - 1, 1 - power, critical) / np.sqrt(num))


def compute_seeds_needed(
    size: float, sd: float, power: float = 0.8, max_seeds: int = 1000, alpha: float = ALPHA
) -> int | None:
    """Return the fewest seeds that find a difference with `power`, or None above `max_seeds`.

    Args:
        size: the difference.
        sd: standard deviation over seeds of the paired difference, in the unit of `size`.
        power: probability of finding it.
        max_seeds: largest number of seeds considered.
        alpha: level of the two-sided test.
    """
    fewest, enough = MIN_SEEDS, max_seeds
    if compute_detectable_difference(max_seeds, power, alpha) * sd > size:
        return None
    while fewest < enough:
        middle = (fewest + enough) // 2
        if compute_detectable_difference(middle, power, alpha) * sd <= size:
            enough = middle
        else:
            fewest = middle + 1
    return enough
