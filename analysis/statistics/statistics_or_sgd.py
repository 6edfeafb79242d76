"""What small batches do to statistics, told apart from what they do to SGD.

A grid may train each cell twice: with the optimizer stepping after each batch, and with it
stepping after a fixed number of examples however few share statistics. In the second half only the
statistics get smaller with the batch, so its rise in error is theirs; the rise of the first half
beyond it comes of small-batch SGD.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.schema import STRATUM
from analysis.statistics.cell import Cell
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.differences import difference
from analysis.statistics.inference.intervals import Mean, t_interval
from analysis.statistics.robustness import degradation, error_table
from analysis.statistics.strata import levels_of

FACTOR = "train.optimizer_batch_size"


@dataclass(frozen=True)
class Rise:
    """A norm's rise in error from the largest common batch size to the smallest, in points.

    `total` with a step after each batch, `statistics` with a step after `num_examples` examples,
    `sgd` the first minus the second, paired by seed. Where every trial at the smallest batch size
    `guessed` in both halves, the two harms cannot be told apart: both parts are missing.
    """

    norm: str
    largest: int
    smallest: int
    num_examples: int
    total: Mean
    statistics: Mean
    sgd: Mean
    guessed: bool = False


@dataclass(frozen=True)
class Unconfounded:
    """The norms of two halves of a grid that differ in when the optimizer steps and nothing else.

    `label` names the data set, network and further factors, `diverged` the norms of which some
    trial at one of the two batch sizes diverged.
    """

    label: str
    rises: tuple[Rise, ...]
    diverged: tuple[str, ...]


def unconfounded(found: Sequence[Comparison]) -> tuple[Unconfounded, ...]:
    """Every pair of comparisons that tells the two harms apart; none where no grid asked for it."""
    pairs = []
    for first in found:
        key, level = _without_factor(first)
        if level != "null":
            continue
        for second in found:
            other, examples = _without_factor(second)
            if other == key and examples.isdigit():
                pairs.append(_pair(first, second, int(examples), key))
    return tuple(pair for pair in pairs if pair.rises)


def _without_factor(comparison: Comparison) -> tuple[str, str]:
    """What names a comparison but for when its optimizer steps, and that; empty if unsaid."""
    first = comparison.trials.iloc[0]
    *names, variant = (str(first[name]) for name in STRATUM)
    levels = levels_of(variant)
    level = levels.pop(FACTOR, "")
    further = [f"{name}={value}" if name else value for name, value in levels.items()]
    return ", ".join(part for part in (*names, *further) if part), level


def _pair(first: Comparison, second: Comparison, num_examples: int, label: str) -> Unconfounded:
    rises, diverged = [], []
    for norm in (norm for norm in first.norms if norm in second.norms):
        sizes = [
            b for b in first.batch_sizes if all((norm, b) in half.cells for half in (first, second))
        ]
        if len(sizes) < 2:
            continue
        ends = (sizes[0], sizes[-1])
        total, statistics = (
            degradation(error_table(half.scored, norm, ends))[ends[1]] for half in (first, second)
        )
        guessed = all(_all_diverged(half.cells[norm, ends[1]]) for half in (first, second))
        parts = (t_interval(statistics.to_numpy(float)), difference(total, statistics).paired)
        if guessed:
            parts = (_unknown(parts[0]), _unknown(parts[1]))
        whole = t_interval(total.to_numpy(float))
        rises.append(Rise(norm, *ends, num_examples, whole, *parts, guessed))
        if any(half.cells[norm, size].diverged for half in (first, second) for size in ends):
            diverged.append(norm)
    known = tuple(rise for rise in rises if rise.sgd.num)
    return Unconfounded(label, known, tuple(diverged))


def _all_diverged(cell: Cell) -> bool:
    return 0 < len(cell.ended) == len(cell.diverged)


def _unknown(mean: Mean) -> Mean:
    return Mean(np.nan, np.nan, np.nan, mean.num)
