"""That a norm is better or worse depends on a further factor: said before anything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.findings import Findings
from analysis.formatting import digits_for, listed, signed
from analysis.statistics.inference.family import Contrast
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.sign_reversal import SignReversal, find_sign_reversals

MOST = 3
"""Norms that are told one by one."""


def depends(found: Sequence[Findings]) -> list[str]:
    """A sentence for each norm whose difference changes sign with a factor of the grid."""
    items = find_sign_reversals([item.comparison for item in found])
    lines = [_sentence(item, several=len({i.data for i in items}) > 1) for item in items[:MOST]]
    if len(items) > MOST:
        lines.append(f"The same holds for {listed([t.norm for t in items[MOST:]], MOST)}.")
    if lines:
        lines.append("What is said below of one level holds for that level alone.")
    return lines


def _sentence(turn: SignReversal, *, several: bool) -> str:
    where = f"On {turn.data}, whether" if several else "Whether"
    how = "" if turn.is_significant else ", as measured"
    parts = [_part(level, gap) for level, gap in turn.contrasts]
    return (
        f"{where} {turn.norm}'s average error is higher or lower than {turn.reference}'s depends "
        f"on {turn.factor or 'the variant'}{how}: {listed(parts)}."
    )


def _part(level: str, gap: Contrast) -> str:
    paired = gap.difference.paired
    if np.isnan(paired.value):
        return f"unknown at {level}"
    side = "higher" if paired.value > 0 else "lower"
    verdict = ", not distinguishable" if gap.p_adjusted >= ALPHA else ""
    verdict = ", not tested" if np.isnan(gap.p_adjusted) else verdict
    return f"{side} at {level} ({signed(paired.value, digits_for(paired))} points{verdict})"
