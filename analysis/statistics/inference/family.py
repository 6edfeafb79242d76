"""Families of contrasts with the reference, each adjusted together by Holm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.inference.differences import Difference
from analysis.statistics.inference.intervals import ALPHA, Floats


@dataclass(frozen=True)
class Gap:
    """A norm's difference from the reference, in percentage points, with its adjusted p.

    `family` counts the comparisons that p is adjusted for.
    """

    norm: str
    batch_size: int | None
    difference: Difference
    p_adjusted: float
    family: int

    @property
    def distinguishable(self) -> bool:
        """Whether the adjusted p is below 5 %."""
        return bool(self.p_adjusted < ALPHA)


def family(
    keys: Sequence[tuple[str, int | None]],
    found: Sequence[Difference],
    beside: Sequence[float] = (),
) -> tuple[Gap, ...]:
    """Differences of norms at batch sizes as one family, adjusted together by Holm.

    The family holds also the p values `beside`, of the report's other comparisons: a claim for
    any of five learning rates is one of five chances to be wrong.
    """
    adjusted = holm([*(item.p for item in found), *beside])
    size = int(np.count_nonzero(~np.isnan(adjusted)))
    return tuple(
        Gap(norm, batch_size, item, float(p), size)
        for (norm, batch_size), item, p in zip(keys, found, adjusted[: len(found)], strict=True)
    )


def holm(p: Sequence[float] | Floats) -> Floats:
    """Holm's step-down adjustment of a family of p values; missing ones are not of the family.

    Holm (1979): the i-th smallest of m is multiplied by m - i + 1, and none may fall below the
    one before it.
    """
    given = np.asarray(p, dtype=float)
    order = np.argsort(given)[: np.count_nonzero(~np.isnan(given))]
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(given.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
