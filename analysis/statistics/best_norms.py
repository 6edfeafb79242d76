"""The norm with the lowest mean, and those that the seeds do not set apart from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.statistics.inference.differences import paired_mean
from analysis.statistics.inference.family import holm
from analysis.statistics.inference.intervals import ALPHA, SAME, t_test

Columns = Mapping[int | None, Mapping[str, "pd.Series[float]"]]


@dataclass(frozen=True)
class Best:
    """The norm with the lowest mean, and those that the seeds do not set apart from it.

    Of the `rivals`, the `untested` have too few seeds in common with it for any test, the `tied`
    have the very same mean, and the `contrary` a lower one over the seeds that both have: means
    over different seeds are not comparable, whatever the paired test says.
    """

    norm: str
    rivals: tuple[str, ...]
    untested: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    contrary: tuple[str, ...] = ()


def lowest(
    columns: Columns,
    reference: str,
    against_reference: Mapping[tuple[str, int | None], float],
    beside: Sequence[float] = (),
) -> dict[int | None, Best | None]:
    """In each column (a batch size, or None: AUEC) the norm with the lowest mean.

    Values are indexed by seed. Another is set apart where its paired difference is significant,
    and of the sign that the means have.
    Against the `reference` the adjusted p are given, the same as in the table of gaps, so that the
    two never disagree. All other pairs, of all columns, are one more family for Holm: that allows
    for the best having been picked by the same data, and for as many columns as there are. The
    family holds also the p values `beside`, of the report's other comparisons.
    """
    raw = between_others(columns, reference)
    adjusted = holm([*raw.values(), *beside])[: len(raw)]
    p = {key: float(value) for key, value in zip(raw, adjusted, strict=True)}
    p |= {
        (frozenset((norm, reference)), column): value
        for (norm, column), value in against_reference.items()
    }
    return {column: _best(values, column, p) for column, values in columns.items()}


def between_others(
    columns: Columns, reference: str
) -> dict[tuple[frozenset[str], int | None], float]:
    """In each column the p, unadjusted, of every pair of norms that are not the reference."""
    return {
        (frozenset((first, second)), column): t_test(paired_mean(values[first], values[second]))
        for column, values in columns.items()
        for first, second in combinations([n for n, v in values.items() if len(v)], 2)
        if reference not in (first, second)
    }


def _best(
    values: Mapping[str, pd.Series[float]],
    column: int | None,
    p: Mapping[tuple[frozenset[str], int | None], float],
) -> Best | None:
    means = {norm: float(found.mean()) for norm, found in values.items() if len(found)}
    if not means:
        return None
    best = min(means, key=lambda norm: means[norm])
    of_best = {
        norm: p.get((frozenset((norm, best)), column), np.nan) for norm in means if norm != best
    }
    contrary = tuple(n for n in of_best if paired_mean(values[n], values[best]).value < -SAME)
    rivals = tuple(n for n, value in of_best.items() if not value < ALPHA or n in contrary)
    return Best(
        best,
        rivals,
        untested=tuple(norm for norm in rivals if np.isnan(of_best[norm])),
        tied=tuple(norm for norm in rivals if np.isclose(means[norm], means[best], atol=SAME)),
        contrary=contrary,
    )
