"""The norm with the lowest mean error, and the norms that the seeds do not separate from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.statistics.inference.differences import compute_paired_mean
from analysis.statistics.inference.family import adjust_holm
from analysis.statistics.inference.intervals import ALPHA, ROUNDING_TOLERANCE, test_zero_mean

ValuesByColumn = Mapping[int | None, Mapping[str, "pd.Series[float]"]]


@dataclass(frozen=True)
class BestNorm:
    """The norm with the lowest mean, and the norms that the seeds do not separate from it.

    Attributes: norm: label of the norm with the lowest mean. not_separated: norms without a
    significant difference from it, or with a reversed sign. untested: those of `not_separated` with
    too few seeds in common for a test. tied: those of `not_separated` with an equal mean.
    sign_reversed: norms with a lower mean over the seeds in common; means over different seeds are
    not comparable, whatever the paired test gives.
    """

    norm: str
    not_separated: tuple[str, ...]
    untested: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    sign_reversed: tuple[str, ...] = ()


def find_best_norms(
    values: ValuesByColumn,
    reference: str,
    reference_p: Mapping[tuple[str, int | None], float],
    other_p: Sequence[float] = (),
) -> dict[int | None, BestNorm | None]:
    """Return for each column (a batch size, or None for AUEC) the norm with the lowest mean.

    Another norm is separated if its paired difference is significant and has the sign of the
    difference of means. Pairs with the reference use the given adjusted p, so that tables agree;
    all other pairs of all columns are one further family for Holm, which allows for the selection
    of the best by the same data.

    Args:
        values: by column and norm the values, indexed by seed.
        reference: label of the reference.
        reference_p: adjusted p of each norm against the reference, by norm and column.
        other_p: unadjusted p of pairs in the report's other comparisons, of the same family.
    """
    raw = test_other_pairs(values, reference)
    adjusted = adjust_holm([*raw.values(), *other_p])[: len(raw)]
    p = {key: float(value) for key, value in zip(raw, adjusted, strict=True)}
    p |= {
        (frozenset((norm, reference)), column): value
        for (norm, column), value in reference_p.items()
    }
    return {column: _find_best_norm(values, column, p) for column, values in values.items()}


def test_other_pairs(
    values: ValuesByColumn, reference: str
) -> dict[tuple[frozenset[str], int | None], float]:
    """Return the unadjusted p of each pair of norms without the reference, by pair and column."""
    return {
        (frozenset((first, second)), column): test_zero_mean(
            compute_paired_mean(values[first], values[second])
        )
        for column, values in values.items()
        for first, second in combinations([n for n, v in values.items() if len(v)], 2)
        if reference not in (first, second)
    }


def _find_best_norm(
    values: Mapping[str, pd.Series[float]],
    column: int | None,
    p: Mapping[tuple[frozenset[str], int | None], float],
) -> BestNorm | None:
    """Return the norm with the lowest mean in one column; None without values."""
    means = {norm: float(found.mean()) for norm, found in values.items() if len(found)}
    if not means:
        return None
    best = min(means, key=lambda norm: means[norm])
    of_best = {
        norm: p.get((frozenset((norm, best)), column), np.nan) for norm in means if norm != best
    }
    contrary = tuple(
        n
        for n in of_best
        if compute_paired_mean(values[n], values[best]).value < -ROUNDING_TOLERANCE
    )
    rivals = tuple(n for n, value in of_best.items() if not value < ALPHA or n in contrary)
    return BestNorm(
        best,
        rivals,
        untested=tuple(norm for norm in rivals if np.isnan(of_best[norm])),
        tied=tuple(
            norm for norm in rivals if np.isclose(means[norm], means[best], atol=ROUNDING_TOLERANCE)
        ),
        sign_reversed=contrary,
    )
