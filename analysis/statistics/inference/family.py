"""Families of contrasts with the reference, each adjusted together by Holm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.inference.differences import Difference
from analysis.statistics.inference.intervals import ALPHA, Floats


@dataclass(frozen=True)
class Contrast:
    """A norm's difference from the reference, in percentage points, with its adjusted p.

    `batch_size` is None for AUEC; `family_size` counts the contrasts that p is adjusted for.
    """

    norm: str
    batch_size: int | None
    difference: Difference
    p_adjusted: float
    family_size: int

    @property
    def is_significant(self) -> bool:
        """Whether the adjusted p is below 5 %."""
        return bool(self.p_adjusted < ALPHA)


def adjust_family(
    keys: Sequence[tuple[str, int | None]],
    differences: Sequence[Difference],
    other_p: Sequence[float] = (),
) -> tuple[Contrast, ...]:
    """Return the contrasts of one family, adjusted together by Holm.

    Args:
        keys: norm and batch size (None: AUEC) of each difference.
        differences: the differences from the reference.
        other_p: unadjusted p of the report's other comparisons, of the same family: a claim for any
            of five learning rates is one of five chances to be wrong.
    """
    adjusted = adjust_holm([*(item.p for item in differences), *other_p])
    size = int(np.count_nonzero(~np.isnan(adjusted)))
    return tuple(
        Contrast(norm, batch_size, item, float(p), size)
        for (norm, batch_size), item, p in zip(
            keys, differences, adjusted[: len(differences)], strict=True
        )
    )


def adjust_holm(p: Sequence[float] | Floats) -> Floats:
    """Return p values adjusted by Holm's step-down procedure; missing ones are left out.

    Holm (1979): the i-th smallest of m is multiplied by m - i + 1, and none may fall below the one
    before it.

    >>> adjust_holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, dtype=float)
    order = np.argsort(given)[: np.count_nonzero(~np.isnan(given))]
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(given.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
