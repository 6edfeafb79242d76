"""Which norm has the lowest average error, and whose error rises least with smaller batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.findings import Findings
from analysis.formatting import listed, number, points
from analysis.reporting.best_norm_sentences import UNLIKE, shared_seeds
from analysis.statistics.at_chance import list_norms_without_error
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE
from analysis.statistics.norm_measures import NormMeasures

FEW = 3


def level_and_rise(findings: Findings) -> list[str]:
    """Two axes, since a norm may be worse everywhere and yet rise least; as measured.

    Norms whose rise is printed as the same number are named together. A norm that learns nothing
    at some batch size, or that makes no error, is not praised for not rising.
    """
    comparison = findings.comparison
    known = [
        m
        for norm, m in findings.measures.items()
        if norm in comparison.distinct_norms
        and not np.isnan(m.rise)
        and not _guesses(comparison, norm)
    ]
    if len(known) < 2 or len(comparison.common_batch_sizes) < 2:
        return []
    perfect = list_norms_without_error(comparison)
    lowest = min(m.auec.value for m in known)
    best = [m for m in known if m.auec.value - lowest <= ROUNDING_TOLERANCE]
    flat = _rising_least([m for m in known if m.norm not in perfect])
    level = (
        f"{_names(best)} {'has' if len(best) == 1 else 'share'} the lowest average error "
        f"({points(lowest)} %)"
    )
    text = f"{level}{_rises(best, flat, len(known))}" if len(flat) > 0 else level
    return [f"As measured, not tested: {text}.{_contrary(comparison)}"]


def _rises(best: Sequence[NormMeasures], flat: Sequence[NormMeasures], num: int) -> str:
    """Whose error rises least, and by how much that of the best rises if it is not theirs."""
    least = min(m.rise for m in flat)
    if len(flat) == num and least <= ROUNDING_TOLERANCE:
        return "; no norm's error rises at any smaller batch size"
    if len(flat) == num:
        return f"; no norm's error rises more than another's ({_by(least)})"
    if list(best) == list(flat):
        whose = "its error" if len(flat) == 1 else "their errors"
        return f", and {whose} {_verb(flat)} least as the batch gets smaller ({_by(least)})"
    whose = "the error" if len(flat) == 1 else "the errors"
    text = (
        f"; {whose} of {_names(flat)} {_verb(flat)} least as the batch gets smaller ({_by(least)}"
    )
    others = [m for m in best if m not in flat]
    if others:
        shown = listed(list(dict.fromkeys(number(m.rise) for m in others)), FEW)
        text += f"; that of {_names(others)} by {shown}"
    return f"{text})"


def _verb(flat: Sequence[NormMeasures]) -> str:
    return "rises" if len(flat) == 1 else "rise"


def _by(least: float) -> str:
    return "not at all" if least <= ROUNDING_TOLERANCE else f"by {points(least)} points at most"


def _names(measures: Sequence[NormMeasures]) -> str:
    return listed([m.norm for m in measures], FEW)


def _guesses(comparison: Comparison, norm: str) -> bool:
    return any((norm, size) in comparison.at_chance for size in comparison.common_batch_sizes)


def _rising_least(measures: Sequence[NormMeasures]) -> list[NormMeasures]:
    """Those whose worst rise is the lowest, or is printed as the same number."""
    lowest = min((m.rise for m in measures), default=np.nan)
    return [m for m in measures if number(m.rise) == number(lowest)]


def _contrary(comparison: Comparison) -> str:
    """That the lowest average is one of other seeds, where shared seeds say otherwise."""
    best = comparison.get_best_norm(None)
    if not best or not best.sign_reversed:
        return ""
    return f" {UNLIKE}: over the seeds that both have, {shared_seeds(best)}."
