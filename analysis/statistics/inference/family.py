"""Families of contrasts with the reference, each adjusted together by Holm.

Holm's procedure rejects more than Bonferroni's, so that Bonferroni's intervals may contain 0 where
Holm rejects. The intervals given here agree with Holm's verdicts: an interval excludes 0 exactly
where its contrast is rejected. Of m contrasts with r rejected,

* one that is not rejected has the interval of level `ALPHA / (m - r)`: together with the
  rejections these hold simultaneously (Strassburger and Bretz 2008, Guilbaud 2008);
* one that is rejected has Bonferroni's interval, of level `ALPHA / m`, where this interval
  excludes 0, else that of the level of Holm's step. What holds simultaneously of a rejected
  contrast is its side of 0; no interval is known that says more and agrees with Holm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from analysis.statistics.inference.differences import Difference
from analysis.statistics.inference.intervals import ALPHA, Floats
from analysis.statistics.inference.weighted_contrasts import Estimate


class Measure(StrEnum):
    """What a contrast compares: the level (AUEC), the robustness (D(b_min)), or one cell."""

    LEVEL = "auec"
    ROBUSTNESS = "degradation"
    ERROR = "error"


class Verdict(StrEnum):
    """What a report says of a norm against the reference; lower errors and rises are better."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Contrast:
    """A norm's difference from the reference, in percentage points, with its adjusted p.

    Attributes:
        norm: label of the norm.
        measure: what is compared.
        batch_size: that of `Measure.ERROR`; None for a measure over several batch sizes.
        estimate: the difference under the test that the design allows.
        difference: the difference taken seed by seed, with Welch's unpaired result beside.
        p_adjusted: p adjusted by Holm over the family; missing before, or where nothing is tested.
        family_size: number of contrasts that p is adjusted for.
        interval_alpha: one minus the level of the interval, which agrees with Holm's verdict.
    """

    norm: str
    measure: Measure
    batch_size: int | None
    estimate: Estimate
    difference: Difference
    p_adjusted: float = np.nan
    family_size: int = 0
    interval_alpha: float = ALPHA

    @property
    def value(self) -> float:
        """The difference, percentage points; below 0 the norm is better."""
        return self.estimate.value

    @property
    def num(self) -> int:
        """Number of seeds behind the difference."""
        return self.estimate.num

    @property
    def half_width(self) -> float:
        """Half the width of the interval that agrees with Holm's verdict; missing if untested."""
        return self.estimate.half_width(self.interval_alpha)

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.half_width

    @property
    def is_tested(self) -> bool:
        """Whether there is a p value."""
        return not np.isnan(self.p_adjusted)

    @property
    def is_significant(self) -> bool:
        """Whether the adjusted p is below 5 %."""
        return bool(self.p_adjusted < ALPHA)

    def lies_within(self, margin: float) -> bool:
        """Return whether the interval lies within ±`margin`."""
        return self.estimate.lies_within(margin, self.interval_alpha)

    def decide(self, margin: float) -> Verdict:
        """Return the verdict, with differences of at most `margin` points taken to be none."""
        if self.is_significant:
            return Verdict.BETTER if self.value < 0 else Verdict.WORSE
        return Verdict.EQUIVALENT if self.lies_within(margin) else Verdict.UNDECIDED


def adjust_family(
    contrasts: Sequence[Contrast], other_p: Sequence[float] = ()
) -> tuple[Contrast, ...]:
    """Return the contrasts of one family, adjusted together by Holm.

    Args:
        contrasts: the contrasts, not adjusted yet.
        other_p: unadjusted p of the report's other comparisons, of the same family: a claim for any
            of five learning rates is one of five chances to be wrong.
    """
    p = np.array([*(item.estimate.p for item in contrasts), *other_p], dtype=float)
    adjusted, levels = adjust_holm(p), compute_interval_levels(p)
    size = int(np.count_nonzero(~np.isnan(p)))
    return tuple(
        replace(
            item, p_adjusted=float(adjusted[i]), family_size=size, interval_alpha=float(levels[i])
        )
        for i, item in enumerate(contrasts)
    )


def adjust_holm(p: Sequence[float] | Floats) -> Floats:
    """Return p values adjusted by Holm's step-down procedure; missing ones are left out.

    Holm (1979): the i-th smallest of m is multiplied by m - i + 1, and none may fall below the one
    before it.

    >>> adjust_holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, dtype=float)
    order = np.argsort(given, kind="stable")[: np.count_nonzero(~np.isnan(given))]
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(given.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def compute_interval_levels(p: Sequence[float] | Floats, alpha: float = ALPHA) -> Floats:
    """Return for each p the alpha of the interval that agrees with Holm's verdict.

    The interval of level 1 - alpha excludes 0 exactly where Holm rejects; the module's description
    says how the levels are chosen. `alpha` itself where p is missing.

    >>> compute_interval_levels([0.001, 0.02, 0.2, 0.4]).round(4).tolist()
    [0.0125, 0.0167, 0.0167, 0.0167]
    >>> compute_interval_levels([0.001, 0.014, 0.2, 0.4]).round(4).tolist()
    [0.0125, 0.0167, 0.025, 0.025]
    """
    given = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(given))
    order = known[np.argsort(given[known], kind="stable")]
    count = len(order)
    remaining = np.arange(count, 0, -1)
    passed = given[order] * remaining < alpha
    num_rejected = count if passed.all() else int(np.argmin(passed))
    levels = np.full(given.shape, alpha)
    if num_rejected < count:
        levels[order] = alpha / (count - num_rejected)
    for place in range(num_rejected):
        by_bonferroni = given[order[place]] * count < alpha
        levels[order[place]] = alpha / (count if by_bonferroni else remaining[place])
    return levels
