"""Trials, cells and norms that are no better than chance: one definition for every claim.

A trial is at chance where it diverged, or where its error is that of guessing within the noise of
the test set. With chance error c (a fraction) and n test examples, guessing scores c ± sqrt(c (1 -
c) / n); an error above c less three of these is no evidence of learning. A norm at chance does not
get worse with small batches either, which is no merit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE

if TYPE_CHECKING:
    from analysis.statistics.comparison import Comparison
    from analysis.statistics.inference.family import Contrast

MAX_DEVIATIONS = 3.0
"""Standard deviations of guessing within which an error is taken to be guessed: one-sided, a
guessing trial lies outside in 1 of 700 cases, so a cell of many seeds is still recognised."""
ASSUMED_NUM_TEST = 1000
"""Size of the test set where trials do not state it: 2.8 points below a chance error of 90 %."""

CellKeys = frozenset[tuple[str, int]]


def mark_at_chance(trials: pd.DataFrame) -> pd.Series[bool]:
    """Return which scored trials are at chance; none where chance error is unknown.

    >>> frame = pd.DataFrame({"error": [89.9, 60.0], "chance_error": 90.0, "num_test": 10_000,
    ...                       "diverged": False})
    >>> mark_at_chance(frame).tolist()
    [True, False]
    """
    chance = trials["chance_error"].astype(float) / 100
    noise = _compute_guessing_sd(trials)
    found: pd.Series[bool] = (
        trials["error"] / 100 >= chance - MAX_DEVIATIONS * noise - ROUNDING_TOLERANCE
    ) | trials["diverged"]
    return found


def mark_above_chance(trials: pd.DataFrame) -> pd.Series[bool]:
    """Return which scored trials have an error above that of guessing by more than its noise.

    >>> frame = pd.DataFrame({"error": [90.1, 94.9], "chance_error": 90.0, "num_test": 10_000})
    >>> mark_above_chance(frame).tolist()
    [False, True]
    """
    chance = trials["chance_error"].astype(float) / 100
    found: pd.Series[bool] = (
        trials["error"] / 100
        > chance + MAX_DEVIATIONS * _compute_guessing_sd(trials) + ROUNDING_TOLERANCE
    )
    return found


def _compute_guessing_sd(trials: pd.DataFrame) -> pd.Series[float]:
    """Return the standard deviation of the error of guessing, a fraction; missing if chance is."""
    chance = trials["chance_error"].astype(float) / 100
    examples = trials["num_test"].astype(float).fillna(ASSUMED_NUM_TEST)
    noise: pd.Series[float] = ((chance * (1 - chance)).clip(lower=0) / examples) ** 0.5
    return noise


def select_cells(trials: pd.DataFrame, condition: pd.Series[bool]) -> CellKeys:
    """Return the cells (norm, batch size) in which the condition holds for every trial."""
    every = condition.groupby([trials["norm"], trials["batch_size"]]).all()
    return frozenset((str(norm), int(size)) for norm, size in every.index[every.to_numpy(bool)])


def list_norms_at_chance(comparison: Comparison) -> tuple[str, ...]:
    """Return the norms that are at chance at every batch size with a result."""
    return _list_norms_within(comparison, comparison.at_chance)


def list_norms_without_error(comparison: Comparison) -> tuple[str, ...]:
    """Return the norms with an error of 0 at every batch size with a result."""
    rows = comparison.scored
    return _list_norms_within(comparison, select_cells(rows, rows["error"] <= ROUNDING_TOLERANCE))


def _list_norms_within(comparison: Comparison, cells: CellKeys) -> tuple[str, ...]:
    """Return the norms whose cells with a result are all among `cells`."""
    found = []
    for norm in comparison.norms:
        own = {key for key, cell in comparison.cells.items() if key[0] == norm and cell.ended}
        if own and own <= cells:
            found.append(norm)
    return tuple(found)


def is_uninformative(comparison: Comparison, norm: str) -> bool:
    """Return whether `norm` may equal the reference only because both are at chance.

    True where either is at chance at every batch size, or both at one that AUEC is taken over.
    """
    nothing = list_norms_at_chance(comparison)
    pair = (norm, comparison.reference)
    return any(name in nothing for name in pair) or any(
        all((name, size) in comparison.at_chance for name in pair)
        for size in comparison.common_batch_sizes
    )


def are_both_at_chance(comparison: Comparison, contrast: Contrast) -> bool:
    """Return whether both norms of a contrast are at chance in all of its cells."""
    sizes = comparison.list_contrast_sizes(contrast)
    pair = (contrast.norm, comparison.reference)
    return all((norm, size) in comparison.at_chance for norm in pair for size in sizes)
