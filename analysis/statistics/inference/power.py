"""How many seeds find which difference."""

from __future__ import annotations

import numpy as np
from scipy import special

from analysis.statistics.inference.intervals import ALPHA, MIN_SEEDS


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
