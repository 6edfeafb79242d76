"""Which norm is best at which batch size, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.formatting import listed, number, told_apart
from analysis.statistics.best_norms import BestNorm
from analysis.statistics.comparison import Comparison

MANY = 5
"""Norms beyond which only the best and the worst are named."""
FEW = 3
"""Norms that a sentence names; the tables have all."""
MOST_GROUPS = 4
"""Groups of batch sizes beyond which they are told in one sentence."""
UNLIKE = "The norms have results under different seeds, so that their means are not comparable"
WHY_NOT = "fewer than three in common, or the same difference in every one"


def by_batch_size(comparison: Comparison) -> list[str]:
    """Which norm has the lowest mean at which batch sizes, and whether it is set apart there."""
    if len(comparison.distinct_norms) == 1:
        return []
    groups: dict[BestNorm, list[int]] = {}
    for size in comparison.batch_sizes:
        best = comparison.get_best_norm(size)
        if best and len(comparison.get_errors(size)) > 1:
            groups.setdefault(best, []).append(size)
    if len(groups) > MOST_GROUPS:
        return [_in_one_sentence(groups)]
    return [
        f"At batch {'size' if len(sizes) == 1 else 'sizes'} {listed(sizes)} "
        f"{_stands(comparison, best, sizes[0])}."
        for best, sizes in groups.items()
    ]


def _in_one_sentence(groups: Mapping[BestNorm, Sequence[int]]) -> str:
    """Which norm is lowest at which batch sizes, and at which of them it is set apart."""
    lowest: dict[str, list[int]] = {}
    for best, sizes in groups.items():
        lowest.setdefault(listed([best.norm, *best.tied], FEW), []).extend(sizes)
    parts = [f"{who} at {listed(sorted(sizes, reverse=True))}" for who, sizes in lowest.items()]
    apart = sorted(
        (b for best in groups if not best.not_separated for b in groups[best]), reverse=True
    )
    where = f"At {listed(apart)} only" if apart else "At none of them"
    contrary = sorted(
        (b for best in groups if best.sign_reversed for b in groups[best]), reverse=True
    )
    unlike = f" {UNLIKE}, and at {listed(contrary)} shared seeds say otherwise." if contrary else ""
    return (
        f"Lowest mean error by batch size: {'; '.join(parts)}. {where} is it distinguishable from "
        f"every other norm.{unlike}"
    )


def _stands(comparison: Comparison, best: BestNorm, batch_size: int) -> str:
    if best.sign_reversed:
        return (
            f"{best.norm} has the lowest mean error, but nothing is claimed from that. {UNLIKE}: "
            f"over the seeds that both have, {shared_seeds(best)}"
        )
    if best.tied:
        return f"{listed([best.norm, *best.tied], FEW)} share the lowest mean error"
    others = _others(comparison, best, batch_size)
    all_others = len(others) == len(comparison.distinct_norms) - 1
    return f"{best.norm} has the lowest mean error, {_apart(best, others, all_others=all_others)}"


def shared_seeds(best: BestNorm) -> str:
    """What the seeds in common say where they contradict the means."""
    return f"the error of {best.norm} is higher than that of {listed(best.sign_reversed)}"


def _others(comparison: Comparison, best: BestNorm, batch_size: int) -> list[str]:
    """The norms with a result at `batch_size` that are another network than the best."""
    there = comparison.get_errors(batch_size)
    return [norm for norm in comparison.distinct_norms if norm in there and norm != best.norm]


def _apart(best: BestNorm, others: Sequence[str], *, all_others: bool) -> str:
    """How the best norm stands to the others; silence of a test is not a result of one."""
    if not others:
        return "and no other norm has a result"
    every, any_ = ("every other norm", "any other norm")
    if len(others) == 1 or not all_others:
        every = any_ = listed(others, FEW)
    tested = tuple(name for name in best.not_separated if name not in best.untested)
    if not best.not_separated:
        return f"distinguishable from {every}"
    if not tested:
        whom = any_ if len(best.untested) == len(others) else listed(best.untested, FEW)
        return f"as measured; these seeds cannot test it against {whom} ({WHY_NOT})"
    whom = any_ if len(tested) == len(others) else listed(tested, FEW)
    text = f"but these seeds do not distinguish it from {whom}"
    if best.untested:
        return f"{text}, and cannot test it against {listed(best.untested, FEW)} ({WHY_NOT})"
    return text


def smallest_batch(comparison: Comparison) -> str:
    """What is known at the smallest batch size that has results under two norms."""
    for size in reversed(comparison.batch_sizes):
        ended = [c for c in comparison.cells.values() if c.batch_size == size and c.ended]
        best = comparison.get_best_norm(size)
        if len(ended) > 1 and best:
            means = sorted(ended, key=lambda cell: cell.error.value)
            if len(means) > MANY:
                means = [means[0], means[-1]]
            digits = told_apart([cell.error.value for cell in means])
            shown = (" to " if len(means) < len(ended) else ", ").join(
                f"{cell.norm} {number(cell.error.value, digits)} %" for cell in means
            )
            return f"At batch size {size}: {shown}; {_stands(comparison, best, size)}."
    return ""
