"""Norms at chance or without an error: what nothing can be compared of is named."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.findings import Findings
from analysis.formatting import listed
from analysis.statistics.at_chance import (
    ASSUMED_NUM_TEST,
    list_norms_at_chance,
    list_norms_without_error,
    mark_above_chance,
)

RATE = "train.optimizer.lr"
FEW = 3


def no_norm_has_learnt(findings: Findings) -> bool:
    """Whether every norm that has a result has learnt nothing at any batch size."""
    comparison = findings.comparison
    there = {cell.norm for cell in comparison.cells.values() if cell.ended}
    return there <= set(list_norms_at_chance(comparison))


def at_bounds(findings: Findings) -> list[str]:
    """Sentences on norms that are at chance, or at zero error, wherever they have a result."""
    comparison = findings.comparison
    nothing = list_norms_at_chance(comparison)
    if no_norm_has_learnt(findings):
        return [
            "No trial has learnt anything: every one diverged or ended at "
            f"{_chance(findings, nothing)}. Norms are not compared, and being alike is no result "
            f"here. {_look(findings, nothing)}"
        ]
    lines = []
    if nothing:
        has = "has" if len(nothing) == 1 else "have"
        lines.append(
            f"{listed(nothing, FEW)} {has} learnt nothing at any batch size: every trial diverged "
            f"or ended at {_chance(findings, nothing)}. An error that cannot rise is no merit. "
            f"{_look(findings, nothing)}"
        )
    sizes = [
        size
        for size in comparison.batch_sizes
        if comparison.get_errors(size)
        and all((norm, size) in comparison.at_chance for norm in comparison.get_errors(size))
    ]
    if sizes:
        plural = "s" if len(sizes) > 1 else ""
        lines.append(
            f"At batch size{plural} {listed(sizes)} no norm has learnt anything, so none is called "
            "the best there."
        )
    perfect = list_norms_without_error(comparison)
    if perfect:
        makes, they = ("makes", "it holds") if len(perfect) == 1 else ("make", "they hold")
        lines.append(
            f"{listed(perfect, FEW)} {makes} no error at any batch size (0 %), and no error can be "
            f"lower: how {they} up cannot be seen on so easy a test set."
        )
    return lines


def _chance(findings: Findings, norms: Sequence[str]) -> str:
    """The error of guessing, and of how many test examples the noise is."""
    trials = findings.comparison.scored
    levels = sorted(trials["chance_error"].dropna().unique())
    level = f" ({listed([f'{value:g}' for value in levels])} %)" if levels else ""
    sizes = [f"{int(size):,}" for size in sorted(trials["num_test"].dropna().unique())]
    noise = f"{listed(sizes)} test examples" if sizes else "a test set, taken to have"
    noise += "" if sizes else f" {ASSUMED_NUM_TEST:,} examples, as nothing says how many"
    above = ", or above it by more than that" if _highest_above(findings, norms) else ""
    return f"the error of guessing{level}, within the noise of {noise}{above}"


def _highest_above(findings: Findings, norms: Sequence[str]) -> float:
    """The highest error of these norms that is above that of guessing and its noise; 0 if none."""
    rows = findings.comparison.scored
    errors = rows.loc[mark_above_chance(rows) & rows["norm"].isin(norms), "error"]
    return float(errors.max()) if len(errors) else 0.0


def _look(findings: Findings, norms: Sequence[str]) -> str:
    """What to look at first: the column of errors of somebody else's table, or the rate."""
    highest = _highest_above(findings, norms)
    if highest and not findings.comparison.made_by_sweep:
        return (
            f"Errors above that of guessing by more than its noise (up to {highest:g} %) look like "
            "accuracies in the wrong column: `test_error` is 100 less the accuracy."
        )
    rates = findings.settings.get(RATE) or findings.settings.get("lr")
    if rates:
        return f"Look at the learning rate first: it is {listed(rates, FEW)}."
    return "Look at the learning rate first."
