"""Sentences on norms that are better at one batch size and worse at another."""

from __future__ import annotations

from analysis.findings import Findings
from analysis.formatting import choose_digits, format_number, join_words
from analysis.statistics.crossings import Crossing
from analysis.statistics.inference.family import Contrast

MAX_NORMS_LISTED = 3
"""Norms with a sentence each, at most."""


def describe_crossings(findings: Findings) -> list[str]:
    """Return a sentence for each norm whose order against the reference depends on batch size."""
    items = list(findings.crossings.values())
    reference = findings.comparison.reference
    lines = [_describe_crossing(item, reference) for item in items[:MAX_NORMS_LISTED]]
    if len(items) > MAX_NORMS_LISTED:
        others = join_words([item.norm for item in items[MAX_NORMS_LISTED:]], MAX_NORMS_LISTED)
        lines.append(f"The same holds for {others}; the table of gaps has their batch sizes.")
    return lines


def _describe_crossing(crossing: Crossing, reference: str) -> str:
    """Return a sentence on one crossing."""
    first, second = (_describe_side(gap) for gap in (crossing.larger, crossing.smaller))
    return (
        f"Which of {crossing.norm} and {reference} is better depends on the batch size: "
        f"{crossing.norm}'s error is {first} and {second} (each distinguishable after Holm's "
        f"adjustment over all {crossing.larger.family_size} single batch sizes; exploratory)."
    )


def _describe_side(gap: Contrast) -> str:
    """Return words on the difference at one batch size."""
    side = "higher" if gap.value > 0 else "lower"
    points = format_number(abs(gap.value), choose_digits(gap))
    return f"{points} points {side} at {gap.batch_size}"
