"""Sentences on norms at chance or without an error, which cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.findings import Findings
from analysis.formatting import join_words
from analysis.statistics.at_chance import (
    ASSUMED_NUM_TEST,
    list_norms_at_chance,
    list_norms_without_error,
    mark_above_chance,
)

LEARNING_RATE = "train.optimizer.lr"
MAX_NORMS_NAMED = 3


def are_all_at_chance(findings: Findings) -> bool:
    """Return whether every norm with a result is at chance at every batch size."""
    comparison = findings.comparison
    there = {cell.norm for cell in comparison.cells.values() if cell.ended}
    return there <= set(list_norms_at_chance(comparison))


def describe_bounds(findings: Findings) -> list[str]:
    """Return sentences on norms at a bound of the error, chance or 0, at every batch size."""
    comparison = findings.comparison
    nothing = list_norms_at_chance(comparison)
    with_result = _limit_to_results(findings, nothing)
    if are_all_at_chance(findings):
        return [
            f"No trial has learnt anything: every one{with_result} diverged or ended at "
            f"{_describe_chance(findings, nothing)}. Norms are not compared, and being alike "
            "is no result "
            f"here. {_suggest_check(findings, nothing)}"
        ]
    lines = []
    if nothing:
        has = "has" if len(nothing) == 1 else "have"
        lines.append(
            f"{join_words(nothing, MAX_NORMS_NAMED)} {has} learnt nothing at any batch size"
            f"{_limit_to_sizes_with_result(findings, nothing)}: every trial{with_result} diverged "
            f"or ended at {_describe_chance(findings, nothing)}. An error that cannot rise "
            "is no merit. "
            f"{_suggest_check(findings, nothing)}"
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
            f"At batch size{plural} {join_words(sizes)} no norm has learnt anything, so none "
            "is called "
            "the best there."
        )
    perfect = list_norms_without_error(comparison)
    if perfect:
        makes, they = ("makes", "it holds") if len(perfect) == 1 else ("make", "they hold")
        lines.append(
            f"{join_words(perfect, MAX_NORMS_NAMED)} {makes} no error at any batch size (0 "
            "%), and no error can be "
            f"lower: how {they} up cannot be seen on so easy a test set."
        )
    return lines


def _limit_to_results(findings: Findings, norms: Sequence[str]) -> str:
    """Return " with a result" where trials of `norms` failed or are missing, else no words."""
    cells = findings.comparison.cells.values()
    return " with a result" if any(cell.missing for cell in cells if cell.norm in norms) else ""


def _limit_to_sizes_with_result(findings: Findings, norms: Sequence[str]) -> str:
    """Return " at which ... a result" where a norm has none at some batch size, else no words."""
    comparison = findings.comparison
    with_result = {key for key, cell in comparison.cells.items() if cell.ended}
    if all((norm, size) in with_result for norm in norms for size in comparison.batch_sizes):
        return ""
    return f" at which {'it has' if len(norms) == 1 else 'they have'} a result"


def _describe_chance(findings: Findings, norms: Sequence[str]) -> str:
    """Return words for the error of guessing and the number of test examples of its noise."""
    trials = findings.comparison.scored
    levels = sorted(trials["chance_error"].dropna().unique())
    level = f" ({join_words([f'{value:g}' for value in levels])} %)" if levels else ""
    sizes = [f"{int(size):,}" for size in sorted(trials["num_test"].dropna().unique())]
    noise = f"{join_words(sizes)} test examples" if sizes else "a test set, taken to have"
    noise += "" if sizes else f" {ASSUMED_NUM_TEST:,} examples, as nothing says how many"
    above = ", or above it by more than that" if _find_highest_above_chance(findings, norms) else ""
    return f"the error of guessing{level}, within the noise of {noise}{above}"


def _find_highest_above_chance(findings: Findings, norms: Sequence[str]) -> float:
    """Return the highest error of `norms` among trials with errors above chance; 0 if none.

    Above chance means higher than guessing gives, by more than its noise.
    """
    rows = findings.comparison.scored
    errors = rows.loc[mark_above_chance(rows) & rows["norm"].isin(norms), "error"]
    return float(errors.max()) if len(errors) else 0.0


def _suggest_check(findings: Findings, norms: Sequence[str]) -> str:
    """Return a sentence that suggests to check the column of errors, or the learning rate."""
    highest = _find_highest_above_chance(findings, norms)
    if highest and not findings.comparison.made_by_sweep:
        return (
            f"Errors above that of guessing by more than its noise (up to {highest:g} %) look like "
            "accuracies in the wrong column: `test_error` is 100 less the accuracy."
        )
    rates = findings.settings.get(LEARNING_RATE) or findings.settings.get("lr")
    if rates:
        return f"Look at the learning rate first: it is {join_words(rates, MAX_NORMS_NAMED)}."
    return "Look at the learning rate first."
