"""Harm of small batches, separated into that through normalization statistics and through SGD.

A grid may train each cell twice: with the optimizer stepping after each batch, and with it stepping
after a fixed number of examples however few share statistics. In the second half only the
statistics get smaller with the batch, so its rise in error is due to them; the rise of the first
half beyond it is due to small-batch SGD.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.schema import PER_CELL, STRATUM_COLUMNS
from analysis.statistics.cell import Cell
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.differences import compute_difference
from analysis.statistics.inference.intervals import SeedMean, estimate_mean
from analysis.statistics.robustness import compute_degradation, tabulate_norm_errors
from analysis.statistics.strata import format_names, parse_levels

OPTIMIZER_STEP_FACTOR = "train.optimizer_batch_size"


@dataclass(frozen=True)
class SeparatedRise:
    """A norm's rise in error from the largest common batch size to the smallest, in points.

    `total` is the rise if every batch ends in an optimizer step; `statistics` the rise if a step
    always averages `num_examples` examples, so that only the batch statistics shrink; `sgd` the
    first minus the second, paired by seed. Where every trial at the smallest batch size diverged in
    both halves (`at_chance`), the two parts are missing.
    """

    norm: str
    largest: int
    smallest: int
    num_examples: int
    total: SeedMean
    statistics: SeedMean
    sgd: SeedMean
    at_chance: bool = False


@dataclass(frozen=True)
class SeparatedHarm:
    """The rises of the norms in two halves of a grid that differ in the optimizer's step alone.

    `label` names the data set, network and further factors, `diverged` the norms of which some
    trial at one of the two batch sizes diverged.
    """

    label: str
    rises: tuple[SeparatedRise, ...]
    diverged: tuple[str, ...]


def separate_harm(comparisons: Sequence[Comparison]) -> tuple[SeparatedHarm, ...]:
    """Return each norm's rise in error, split into the parts from batch statistics and from SGD.

    One item per pair of comparisons that differ in the optimizer's step alone; empty without pairs.
    """
    pairs = []
    for first in comparisons:
        key, level = _split_off_step(first)
        if level != "null":
            continue
        for second in comparisons:
            other, examples = _split_off_step(second)
            if other == key and examples.isdigit():
                pairs.append(_build_separated_harm(first, second, int(examples), key))
    return tuple(pair for pair in pairs if pair.rises)


def _split_off_step(comparison: Comparison) -> tuple[str, str]:
    """Return a comparison's name without its level of `OPTIMIZER_STEP_FACTOR`, and this level.

    The level is empty where the comparison does not have the factor.
    """
    first = comparison.trials.iloc[0]
    *names, variant = (str(first[name]) for name in STRATUM_COLUMNS)
    levels = parse_levels(variant)
    level = levels.pop(OPTIMIZER_STEP_FACTOR, "")
    further = [f"{name}={value}" if name else value for name, value in levels.items()]
    return format_names((*names, *further), with_seeding=first["seeding"] == PER_CELL), level


def _build_separated_harm(
    first: Comparison, second: Comparison, num_examples: int, label: str
) -> SeparatedHarm:
    """Return the rises of the norms that both halves have."""
    rises, diverged = [], []
    for norm in (norm for norm in first.norms if norm in second.norms):
        sizes = [
            b for b in first.batch_sizes if all((norm, b) in half.cells for half in (first, second))
        ]
        if len(sizes) < 2:
            continue
        ends = (sizes[0], sizes[-1])
        total, statistics = (
            compute_degradation(tabulate_norm_errors(half.scored, norm, ends))[ends[1]]
            for half in (first, second)
        )
        guessed = all(_has_all_diverged(half.cells[norm, ends[1]]) for half in (first, second))
        parts = (
            estimate_mean(statistics.to_numpy(float)),
            compute_difference(total, statistics).paired,
        )
        if guessed:
            parts = (_make_missing_mean(parts[0]), _make_missing_mean(parts[1]))
        whole = estimate_mean(total.to_numpy(float))
        rises.append(SeparatedRise(norm, *ends, num_examples, whole, *parts, guessed))
        if any(half.cells[norm, size].diverged for half in (first, second) for size in ends):
            diverged.append(norm)
    known = tuple(rise for rise in rises if rise.sgd.num)
    return SeparatedHarm(label, known, tuple(diverged))


def _has_all_diverged(cell: Cell) -> bool:
    """Return whether the cell has results and all of them diverged."""
    return 0 < len(cell.ended) == len(cell.diverged)


def _make_missing_mean(mean: SeedMean) -> SeedMean:
    """Return a `SeedMean` over the same number of seeds whose value and interval are missing."""
    return SeedMean(np.nan, np.nan, np.nan, mean.num)
