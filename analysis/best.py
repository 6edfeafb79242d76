"""The norm with the lowest mean, and those that the seeds do not set apart from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.inference import ALPHA, holm, paired_p


@dataclass(frozen=True)
class Best:
    """The norm with the lowest mean, and those that the seeds do not set apart from it.

    Of the `rivals`, the `untested` have too few seeds in common with it for any test.
    """

    norm: str
    rivals: tuple[str, ...]
    untested: tuple[str, ...] = ()


def lowest(values: Mapping[str, pd.Series[float]]) -> Best | None:
    """The norm whose values, indexed by seed, have the lowest mean.

    Another is set apart where its paired difference is significant after Holm over all pairs of
    norms, which allows for the best having been picked by the same data.
    """
    names = [norm for norm, found in values.items() if len(found)]
    if not names:
        return None
    best = min(names, key=lambda norm: float(values[norm].mean()))
    pairs = list(combinations(names, 2))
    adjusted = holm([paired_p(values[a], values[b]) for a, b in pairs])
    of_best = {
        first if second == best else second: float(p)
        for (first, second), p in zip(pairs, adjusted, strict=True)
        if best in (first, second)
    }
    rivals = tuple(name for name in names if name != best and not of_best[name] < ALPHA)
    return Best(best, rivals, tuple(name for name in rivals if np.isnan(of_best[name])))
