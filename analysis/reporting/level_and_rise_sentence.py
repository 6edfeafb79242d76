"""The sentence on the lowest average error and the least rise with smaller batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.findings import Findings
from analysis.formatting import format_number, format_points, join_words
from analysis.reporting.best_norm_sentences import UNEQUAL_SEEDS_NOTE, describe_reversed_means
from analysis.statistics.at_chance import list_norms_without_error
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE
from analysis.statistics.norm_measures import NormMeasures

MAX_NORMS_NAMED = 3


def describe_level_and_rise(findings: Findings) -> list[str]:
    """Return a sentence on the norms with the lowest AUEC and with the smallest worst rise.

    Both are stated, since a norm may have higher errors everywhere and yet rise least. Norms whose
    rise rounds to the same printed number are named together. Norms at chance at some batch size
    are left out. A norm without any test error is not named for its small rise. The result is empty
    with fewer than two other norms or common batch sizes.
    """
    comparison = findings.comparison
    known = [
        m
        for norm, m in findings.measures.items()
        if norm in comparison.distinct_norms
        and not np.isnan(m.rise)
        and not _is_at_chance_somewhere(comparison, norm)
    ]
    if len(known) < 2 or len(comparison.common_batch_sizes) < 2:
        return []
    perfect = list_norms_without_error(comparison)
    lowest = min(m.auec.value for m in known)
    best = [m for m in known if m.auec.value - lowest <= ROUNDING_TOLERANCE]
    flat = _select_least_rising([m for m in known if m.norm not in perfect])
    level = (
        f"{_join_names(best)} {'has' if len(best) == 1 else 'share'} the lowest average error "
        f"({format_points(lowest)} %)"
    )
    text = f"{level}{_describe_least_rise(best, flat, len(known))}" if len(flat) > 0 else level
    return [f"As measured, not tested: {text}.{_describe_unequal_seeds(comparison)}"]


def _describe_least_rise(
    best: Sequence[NormMeasures], flat: Sequence[NormMeasures], num: int
) -> str:
    """Return a clause on the norms whose error rises least, and on the rise of the best norms."""
    least = min(m.rise for m in flat)
    if len(flat) == num and least <= ROUNDING_TOLERANCE:
        return "; no norm's error rises at any smaller batch size"
    if len(flat) == num:
        return f"; no norm's error rises more than another's ({_format_rise(least)})"
    if list(best) == list(flat):
        whose = "its error" if len(flat) == 1 else "their errors"
        return (
            f", and {whose} {_conjugate_rise(flat)} least as the batch gets smaller "
            f"({_format_rise(least)})"
        )
    whose = "the error" if len(flat) == 1 else "the errors"
    text = (
        f"; {whose} of {_join_names(flat)} {_conjugate_rise(flat)} least as the batch gets "
        f"smaller ({_format_rise(least)}"
    )
    others = [m for m in best if m not in flat]
    if others:
        shown = join_words(
            list(dict.fromkeys(format_number(m.rise) for m in others)), MAX_NORMS_NAMED
        )
        text += f"; that of {_join_names(others)} by {shown}"
    return f"{text})"


def _conjugate_rise(flat: Sequence[NormMeasures]) -> str:
    """Return `rises` or `rise` for the number of norms."""
    return "rises" if len(flat) == 1 else "rise"


def _format_rise(least: float) -> str:
    """Return a rise in error in words: `by 3.2 points at most`, or `not at all`."""
    return (
        "not at all" if least <= ROUNDING_TOLERANCE else f"by {format_points(least)} points at most"
    )


def _join_names(measures: Sequence[NormMeasures]) -> str:
    """Return the names of the norms, joined for a sentence."""
    return join_words([m.norm for m in measures], MAX_NORMS_NAMED)


def _is_at_chance_somewhere(comparison: Comparison, norm: str) -> bool:
    """Return whether the norm is at chance at some common batch size."""
    return any((norm, size) in comparison.at_chance for size in comparison.common_batch_sizes)


def _select_least_rising(measures: Sequence[NormMeasures]) -> list[NormMeasures]:
    """Return the norms whose worst rise in error is the smallest, as rounded for print."""
    lowest = min((m.rise for m in measures), default=np.nan)
    return [m for m in measures if format_number(m.rise) == format_number(lowest)]


def _describe_unequal_seeds(comparison: Comparison) -> str:
    """Return a sentence where seeds in common contradict the lowest average; else empty."""
    best = comparison.get_best_norm(None)
    if not best or not best.sign_reversed:
        return ""
    return f" {UNEQUAL_SEEDS_NOTE}: over the seeds that both have, {describe_reversed_means(best)}."
