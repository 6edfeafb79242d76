"""Whether a contrast lies within a margin: two one-sided tests."""

from __future__ import annotations

import numpy as np
from scipy import special

from analysis.errors import AnalysisError
from analysis.statistics.inference.intervals import SeedMean


def test_equivalence(mean: SeedMean, margin: float) -> float:
    """Return p of two one-sided tests that a mean difference lies within ±`margin` (Schuirmann
    1987).

    Equivalence may be claimed where p is small. Missing where the mean has no interval.
    """
    if not margin > 0:
        raise AnalysisError(f"`margin > 0` must hold, but got margin={margin}")
    if np.isnan(mean.half_width):
        return np.nan
    se = mean.sd / np.sqrt(mean.num)
    return float(special.stdtr(mean.num - 1, (abs(mean.value) - margin) / se))
