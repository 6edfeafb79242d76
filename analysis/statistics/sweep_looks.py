"""The looks at a sweep that trains seed by seed until its contrasts are decided.

The family of contrasts is declared before the first look: level and robustness of each norm
against the reference, those of all variants together. A look after n seeds estimates each contrast
that is still open from the first n seeds of the cells behind the contrast, and decides by
`inference.sequential_looks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from analysis.errors import AnalysisError
from analysis.statistics.inference.sequential_looks import Decision, Look, StoppingRule, decide
from analysis.statistics.inference.weighted_contrasts import (
    Estimate,
    combined_estimate,
    level_weights,
    paired_estimate,
    robustness_weights,
)

Floats = npt.NDArray[np.float64]

Cell = tuple[str, str, int]
"""Variant, norm and batch size."""

Errors = Mapping[tuple[str, str, int, int], float]
"""Test error in percent, or chance error of a diverged trial, by variant, norm, batch size, seed.

A trial without a result, such as one that failed, is missing.
"""

NO_TEST = Estimate(np.nan, np.nan, np.nan, 0)
"""Stands for the estimate of a contrast with a trial that has no result."""


class Measure(StrEnum):
    """What a contrast compares: the mean error over batch sizes, or its rise to the smallest."""

    LEVEL = "level"
    ROBUSTNESS = "robustness"


class Seeding(StrEnum):
    """What the random streams of a trial depend on: seed and batch size, or the seed alone."""

    PER_CELL = "per_cell"
    PER_SEED = "per_seed"


@dataclass(frozen=True)
class DeclaredContrast:
    """A norm's contrast with the reference in one variant; batch sizes from large to small."""

    variant: str
    norm: str
    measure: Measure
    batch_sizes: tuple[int, ...]

    @property
    def weights(self) -> Floats:
        """The weight of the difference in error at each batch size."""
        if self.measure is Measure.LEVEL:
            return level_weights(self.batch_sizes)
        return robustness_weights(self.batch_sizes)

    @property
    def needed_batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes whose trials the contrast is estimated from."""
        pairs = zip(self.batch_sizes, self.weights, strict=True)
        return tuple(size for size, weight in pairs if weight != 0)


@dataclass(frozen=True)
class LookRule:
    """What is declared before the first look.

    Attributes: first, last: seeds at the first and at the last look. reference: the norm that the
    others are compared with. margins: difference in points that counts as none, by variant.
    boundaries: as `StoppingRule.all_boundaries` returned them at the first look; empty before.
    """

    first: int
    last: int
    reference: str
    seeding: Seeding
    contrasts: tuple[DeclaredContrast, ...]
    margins: Mapping[str, float]
    boundaries: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        """Raise `AnalysisError` for a family without a contrast."""
        if not self.contrasts:
            raise AnalysisError("a rule needs at least one contrast of a norm with the reference")

    @property
    def stopping(self) -> StoppingRule:
        """The rule of the looks; margins are those of the variants."""
        return StoppingRule(
            self.first, self.last, len(self.contrasts), min(self.margins.values()), self.boundaries
        )


@dataclass(frozen=True)
class DecidedContrast:
    """A contrast at one look; `is_complete` is false where one of its trials has no result."""

    contrast: DeclaredContrast
    look: Look
    is_complete: bool


def take_look(
    rule: LookRule,
    num_seeds: int,
    errors: Errors,
    earlier: Sequence[Mapping[DeclaredContrast, Decision]] = (),
) -> tuple[DecidedContrast, ...]:
    """Decide the contrasts that are open after the first `num_seeds` seeds.

    A contrast with a trial that has no result stays open.

    Args:
        rule: the declared rule.
        num_seeds: how many seeds each open contrast has.
        errors: the errors of all trials; seeds count from 0.
        earlier: what earlier looks have decided.

    Returns:
        An item for each contrast that was open before this look, in the order of the rule.
    """
    decided = {item: how for look in earlier for item, how in look.items() if how != Decision.OPEN}
    still_open = [item for item in rule.contrasts if item not in decided]
    estimates = [_estimate(rule, item, num_seeds, errors) for item in still_open]
    names = [str(place) for place in range(len(still_open))]
    found = decide(
        rule.stopping,
        num_seeds,
        {name: item or NO_TEST for name, item in zip(names, estimates, strict=True)},
        sum(how == Decision.REJECTED for how in decided.values()),
        {name: rule.margins[c.variant] for name, c in zip(names, still_open, strict=True)},
    )
    return tuple(
        DecidedContrast(item, found[name], is_complete=estimate is not None)
        for name, item, estimate in zip(names, still_open, estimates, strict=True)
    )


def _estimate(
    rule: LookRule, contrast: DeclaredContrast, num_seeds: int, errors: Errors
) -> Estimate | None:
    """Return the estimate of a contrast, by the test that the seeding of the trials asks for.

    None where a trial has no result.
    """
    sizes, seeds = contrast.needed_batch_sizes, range(num_seeds)
    norm, reference = (
        np.array([[errors.get((contrast.variant, n, b, s), np.nan) for b in sizes] for s in seeds])
        for n in (contrast.norm, rule.reference)
    )
    differences = norm - reference
    if np.isnan(differences).any():
        return None
    weights = contrast.weights[contrast.weights != 0]
    if rule.seeding is Seeding.PER_CELL:
        return combined_estimate(list(differences.T), weights)
    return paired_estimate(differences, weights)
