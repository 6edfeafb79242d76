"""The sentence on the lowest average error and the least rise with smaller batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.findings import Findings
from analysis.formatting import (
    choose_digits,
    choose_uncertain_digits,
    format_number,
    join_words,
)
from analysis.reporting.best_norm_sentences import UNEQUAL_SEEDS_NOTE, describe_reversed_means
from analysis.statistics.at_chance import list_norms_without_error
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE
from analysis.statistics.norm_measures import NormMeasures
from analysis.statistics.selection_bias import SelectedEstimate

MAX_NORMS_NAMED = 3
MIN_BIAS_SHARE = 0.1
"""Share of a rise that its bias must be to be mentioned."""


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
        and not np.isnan(m.rise.value)
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
        f"({format_number(lowest, choose_digits(best[0].auec))} %)"
    )
    text = f"{level}{_describe_least_rise(best, flat, len(known))}" if len(flat) > 0 else level
    return [f"As measured, not tested: {text}.{_describe_unequal_seeds(comparison)}"]


def _describe_least_rise(
    best: Sequence[NormMeasures], flat: Sequence[NormMeasures], num: int
) -> str:
    """Return a clause on the norms whose error rises least, and on the rise of the best."""
    least = min((m.rise for m in flat), key=lambda rise: rise.value)
    if len(flat) == num and least.value <= ROUNDING_TOLERANCE:
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
            list(dict.fromkeys(_format_number_of(m.rise) for m in others)), MAX_NORMS_NAMED
        )
        text += f"; that of {_join_names(others)} by {shown}"
    return f"{text})"


def _conjugate_rise(flat: Sequence[NormMeasures]) -> str:
    """Return `rises` or `rise` for the number of norms."""
    return "rises" if len(flat) == 1 else "rise"


def _format_rise(least: SelectedEstimate) -> str:
    """Return words for a rise, with the part of it that noise is expected to make."""
    if least.value <= ROUNDING_TOLERANCE:
        return "not at all"
    digits = choose_uncertain_digits(least.standard_error)
    text = f"by {_format_number_of(least)} points at most"
    if np.isnan(least.bias) or least.bias < MIN_BIAS_SHARE * least.value:
        return text
    part = f"about {format_number(least.bias, digits)}" if least.bias < least.value else "all"
    return f"{text}, of which noise alone would make {part}"


def _join_names(measures: Sequence[NormMeasures]) -> str:
    """Return the names of the norms, joined for a sentence."""
    return join_words([m.norm for m in measures], MAX_NORMS_NAMED)


def _is_at_chance_somewhere(comparison: Comparison, norm: str) -> bool:
    """Return whether the norm is at chance at some common batch size."""
    return any((norm, size) in comparison.at_chance for size in comparison.common_batch_sizes)


def _select_least_rising(measures: Sequence[NormMeasures]) -> list[NormMeasures]:
    """Return the norms whose worst rise is the lowest, or is printed as the same number."""
    lowest = min((m.rise.value for m in measures), default=np.nan)
    shown = [m.rise for m in measures if m.rise.value == lowest]
    digits = choose_uncertain_digits(shown[0].standard_error) if shown else 0
    return [
        m for m in measures if format_number(m.rise.value, digits) == format_number(lowest, digits)
    ]


def _format_number_of(rise: SelectedEstimate) -> str:
    """Return a rise with the digits that its standard error makes significant."""
    return format_number(rise.value, choose_uncertain_digits(rise.standard_error))


def _describe_unequal_seeds(comparison: Comparison) -> str:
    """Return a sentence where seeds in common contradict the lowest average; else empty."""
    best = comparison.get_best_norm(None)
    if not best or not best.sign_reversed:
        return ""
    return f" {UNEQUAL_SEEDS_NOTE}: over the seeds that both have, {describe_reversed_means(best)}."
