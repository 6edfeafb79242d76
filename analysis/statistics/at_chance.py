"""What has learnt nothing: one definition, for every claim that must not be made of it.

A trial has learnt nothing where it diverged, or where its error is that of guessing within the
noise of the test set. With chance error c (a fraction) and n test examples, guessing scores
c ± sqrt(c (1 - c) / n); an error above c less three of these is no evidence of having learnt. A
norm that has learnt nothing does not suffer from small batches either, which is no merit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis.statistics.inference.intervals import SAME

if TYPE_CHECKING:
    from analysis.statistics.comparison import Comparison
    from analysis.statistics.inference.family import Gap

DEVIATIONS = 3.0
"""Standard deviations of guessing within which an error is taken to be guessed: one-sided, a
guessing trial lies outside in 1 of 700 cases, so a cell of many seeds is still recognised."""
ASSUMED_NUM_TEST = 1000
"""Test examples where the trials do not say: 2.8 points below a chance error of 90 %."""

Cells = frozenset[tuple[str, int]]


def guessed(trials: pd.DataFrame) -> pd.Series[bool]:
    """Which of the `scored` trials have learnt nothing; none where chance error is not known.

    >>> frame = pd.DataFrame({"error": [89.9, 60.0], "chance_error": 90.0, "num_test": 10_000,
    ...                       "diverged": False})
    >>> guessed(frame).tolist()
    [True, False]
    """
    chance = trials["chance_error"].astype(float) / 100
    noise = _noise(trials)
    found: pd.Series[bool] = (trials["error"] / 100 >= chance - DEVIATIONS * noise - SAME) | trials[
        "diverged"
    ]
    return found


def above_guessing(trials: pd.DataFrame) -> pd.Series[bool]:
    """Which of the `scored` trials have an error above that of guessing by more than its noise.

    >>> frame = pd.DataFrame({"error": [90.1, 94.9], "chance_error": 90.0, "num_test": 10_000})
    >>> above_guessing(frame).tolist()
    [False, True]
    """
    chance = trials["chance_error"].astype(float) / 100
    found: pd.Series[bool] = trials["error"] / 100 > chance + DEVIATIONS * _noise(trials) + SAME
    return found


def _noise(trials: pd.DataFrame) -> pd.Series[float]:
    """The standard deviation of the error of guessing, a fraction; missing where chance is."""
    chance = trials["chance_error"].astype(float) / 100
    examples = trials["num_test"].astype(float).fillna(ASSUMED_NUM_TEST)
    noise: pd.Series[float] = ((chance * (1 - chance)).clip(lower=0) / examples) ** 0.5
    return noise


def cells_where(rows: pd.DataFrame, holds: pd.Series[bool]) -> Cells:
    """The cells (norm, batch size) of which every row `holds`."""
    every = holds.groupby([rows["norm"], rows["batch_size"]]).all()
    return frozenset((str(norm), int(size)) for norm, size in every.index[every.to_numpy(bool)])


def learnt_nothing(comparison: Comparison) -> tuple[str, ...]:
    """The norms that have learnt nothing at any batch size at which they have a result."""
    return _throughout(comparison, comparison.at_chance)


def without_error(comparison: Comparison) -> tuple[str, ...]:
    """The norms that make no error at any batch size at which they have a result."""
    rows = comparison.scored
    return _throughout(comparison, cells_where(rows, rows["error"] <= SAME))


def _throughout(comparison: Comparison, cells: Cells) -> tuple[str, ...]:
    found = []
    for norm in comparison.norms:
        own = {key for key, cell in comparison.cells.items() if key[0] == norm and cell.ended}
        if own and own <= cells:
            found.append(norm)
    return tuple(found)


def tells_nothing(comparison: Comparison, norm: str) -> bool:
    """Whether that `norm` is like the reference may come of both having learnt nothing.

    True where either has learnt nothing at any batch size, or both at one that AUEC runs over.
    """
    nothing = learnt_nothing(comparison)
    pair = (norm, comparison.reference)
    return any(name in nothing for name in pair) or any(
        all((name, size) in comparison.at_chance for name in pair)
        for size in comparison.common_batch_sizes
    )


def both_guess(comparison: Comparison, gap: Gap) -> bool:
    """Whether neither of the two norms behind the difference `gap` has learnt anything there."""
    sizes = comparison.common_batch_sizes if gap.batch_size is None else (gap.batch_size,)
    pair = (gap.norm, comparison.reference)
    return all((norm, size) in comparison.at_chance for norm in pair for size in sizes)
