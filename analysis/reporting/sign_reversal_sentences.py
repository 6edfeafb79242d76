"""Sentences on norms that are better or worse depending on a further factor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.findings import Findings
from analysis.formatting import choose_digits, format_signed, join_words
from analysis.statistics.inference.family import Contrast
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.sign_reversal import SignReversal, find_sign_reversals

MAX_NORMS_LISTED = 3
"""Norms with a sentence each, at most."""


def describe_sign_reversals(all_findings: Sequence[Findings]) -> list[str]:
    """Return a sentence for each norm whose difference changes sign with a factor of the grid."""
    items = find_sign_reversals([item.comparison for item in all_findings])
    lines = [
        _describe_reversal(item, several=len({i.data for i in items}) > 1)
        for item in items[:MAX_NORMS_LISTED]
    ]
    if len(items) > MAX_NORMS_LISTED:
        lines.append(
            "The same holds for "
            f"{join_words([t.norm for t in items[MAX_NORMS_LISTED:]], MAX_NORMS_LISTED)}."
        )
    if lines:
        lines.append("What is said below of one level holds for that level alone.")
    return lines


def _describe_reversal(reversal: SignReversal, *, several: bool) -> str:
    """Return a sentence on one sign reversal."""
    where = f"On {reversal.data}, whether" if several else "Whether"
    how = "" if reversal.is_significant else ", as measured"
    parts = [_describe_contrast_at_level(level, gap) for level, gap in reversal.contrasts]
    return (
        f"{where} {reversal.norm}'s average error is higher or lower than "
        f"{reversal.reference}'s depends "
        f"on {reversal.factor or 'the variant'}{how}: {join_words(parts)}."
    )


def _describe_contrast_at_level(level: str, contrast: Contrast) -> str:
    """Return words on the contrast at one level."""
    if np.isnan(contrast.value):
        return f"unknown at {level}"
    side = "higher" if contrast.value > 0 else "lower"
    verdict = ", not distinguishable" if contrast.p_adjusted >= ALPHA else ""
    verdict = ", not tested" if np.isnan(contrast.p_adjusted) else verdict
    value = format_signed(contrast.value, choose_digits(contrast))
    return f"{side} at {level} ({value} points{verdict})"
