"""Sentences on the best norm at each batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.formatting import (
    choose_digits,
    choose_distinct_digits,
    format_number,
    join_words,
)
from analysis.statistics.best_norms import BestNorm
from analysis.statistics.cell import Cell
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE

MAX_NORMS_LISTED = 5
"""Norms listed with their means; of more, only the best and the worst."""
MAX_NORMS_NAMED = 3
"""Norms named in a sentence, at most; the tables have all."""
MAX_GROUPS = 4
"""Groups of batch sizes with a sentence each; more share one sentence."""
UNEQUAL_SEEDS_NOTE = (
    "The norms have results under different seeds, so that their means are not comparable"
)
UNTESTED_REASON = "fewer than three in common, or the same difference in every one"


def describe_best_norms(comparison: Comparison) -> list[str]:
    """Return sentences on the norm with the lowest mean error at each batch size.

    They also say from which other norms the best one is separated.
    """
    if len(comparison.distinct_norms) == 1:
        return []
    groups: dict[BestNorm, list[int]] = {}
    for size in comparison.batch_sizes:
        best = comparison.get_best_norm(size)
        if best and len(comparison.get_errors(size)) > 1:
            groups.setdefault(best, []).append(size)
    if len(groups) > MAX_GROUPS:
        return [_summarize_best_norms(groups)]
    return [
        f"At batch {'size' if len(sizes) == 1 else 'sizes'} {join_words(sizes)} "
        f"{_describe_best_norm(comparison, best, sizes[0])}."
        for best, sizes in groups.items()
    ]


def _summarize_best_norms(groups: Mapping[BestNorm, Sequence[int]]) -> str:
    """Return one sentence for many groups of batch sizes."""
    lowest: dict[str, list[int]] = {}
    for best, sizes in groups.items():
        lowest.setdefault(join_words([best.norm, *best.tied], MAX_NORMS_NAMED), []).extend(sizes)
    parts = [f"{who} at {join_words(sorted(sizes, reverse=True))}" for who, sizes in lowest.items()]
    apart = sorted(
        (b for best in groups if not best.not_separated for b in groups[best]), reverse=True
    )
    where = f"At {join_words(apart)} only" if apart else "At none of them"
    contrary = sorted(
        (b for best in groups if best.sign_reversed for b in groups[best]), reverse=True
    )
    unlike = (
        f" {UNEQUAL_SEEDS_NOTE}, and at {join_words(contrary)} shared seeds say otherwise."
        if contrary
        else ""
    )
    return (
        f"Lowest mean error by batch size: {'; '.join(parts)}. {where} is it distinguishable from "
        f"every other norm.{unlike}"
    )


def _describe_best_norm(comparison: Comparison, best: BestNorm, batch_size: int) -> str:
    """Return a clause on the best norm at a batch size and its separation from the others."""
    if best.sign_reversed:
        return (
            f"{best.norm} has the lowest mean error, but nothing is claimed from that. "
            f"{UNEQUAL_SEEDS_NOTE}: "
            f"over the seeds that both have, {describe_reversed_means(best)}"
        )
    if best.tied:
        return f"{join_words([best.norm, *best.tied], MAX_NORMS_NAMED)} share the lowest mean error"
    others = _list_other_norms(comparison, best, batch_size)
    all_others = len(others) == len(comparison.distinct_norms) - 1
    return (
        f"{best.norm} has the lowest mean error, "
        f"{_describe_separation(best, others, all_others=all_others)}"
    )


def describe_reversed_means(best: BestNorm) -> str:
    """Return a clause on norms with a lower mean than the best norm over the seeds in common."""
    return f"the error of {best.norm} is higher than that of {join_words(best.sign_reversed)}"


def _list_other_norms(comparison: Comparison, best: BestNorm, batch_size: int) -> list[str]:
    """Return the norms with a result at `batch_size` that are another network than the best."""
    there = comparison.get_errors(batch_size)
    return [norm for norm in comparison.distinct_norms if norm in there and norm != best.norm]


def _describe_separation(best: BestNorm, others: Sequence[str], *, all_others: bool) -> str:
    """Return a clause on the norms from which the best is separated, not separated, or untested."""
    if not others:
        return "and no other norm has a result"
    every, any_ = ("every other norm", "any other norm")
    if len(others) == 1 or not all_others:
        every = any_ = join_words(others, MAX_NORMS_NAMED)
    tested = tuple(name for name in best.not_separated if name not in best.untested)
    if not best.not_separated:
        return f"distinguishable from {every}"
    if not tested:
        whom = (
            any_
            if len(best.untested) == len(others)
            else join_words(best.untested, MAX_NORMS_NAMED)
        )
        return f"as measured; these seeds cannot test it against {whom} ({UNTESTED_REASON})"
    whom = any_ if len(tested) == len(others) else join_words(tested, MAX_NORMS_NAMED)
    text = f"but these seeds do not distinguish it from {whom}"
    if best.untested:
        return (
            f"{text}, and cannot test it against {join_words(best.untested, MAX_NORMS_NAMED)} "
            f"({UNTESTED_REASON})"
        )
    return text


def _format_errors(cells: Sequence[Cell]) -> list[str]:
    """Return the cells' mean errors, each with its significant digits; equal ones read alike."""
    without_interval = choose_distinct_digits([cell.error.value for cell in cells])
    digits = [
        without_interval if np.isnan(cell.error.half_width) else choose_digits(cell.error)
        for cell in cells
    ]
    values = np.array([cell.error.value for cell in cells])
    equal = np.abs(values[:, None] - values[None, :]) <= ROUNDING_TOLERANCE
    return [
        format_number(value, int(np.max(digits, where=row, initial=0)))
        for value, row in zip(values, equal, strict=True)
    ]


def describe_smallest_batch(comparison: Comparison) -> str:
    """Return a sentence on the smallest batch size with results under two norms."""
    for size in reversed(comparison.batch_sizes):
        ended = [c for c in comparison.cells.values() if c.batch_size == size and c.ended]
        best = comparison.get_best_norm(size)
        if len(ended) > 1 and best:
            means = sorted(ended, key=lambda cell: cell.error.value)
            if len(means) > MAX_NORMS_LISTED:
                means = [means[0], means[-1]]
            shown = (" to " if len(means) < len(ended) else ", ").join(
                f"{cell.norm} {error} %"
                for cell, error in zip(means, _format_errors(means), strict=True)
            )
            return f"At batch size {size}: {shown}; {_describe_best_norm(comparison, best, size)}."
    return ""
