"""Differences from the reference over seeds and over test examples, as a frame and as a table."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.formatting import number, signed
from analysis.reporting.tables import Shown, Table


def test_set_frame(findings: Findings) -> pd.DataFrame:
    """One row per norm: the difference in AUEC (points) and its 95 % half-widths."""
    return pd.DataFrame.from_records(
        [
            {"norm": norm, "reference": findings.comparison.reference, **asdict(found)}
            for norm, found in findings.test_set.items()
        ]
    )


def test_set_table(findings: Findings) -> Table | None:
    """The same as a page shows it; None where no trial kept which examples it had right."""
    found = findings.test_set
    if not found:
        return None
    rows = tuple(
        (
            norm,
            (
                Shown(signed(mean.value), note=f"n = {mean.num_seeds}"),
                *(_half(h) for h in (mean.over_seeds, mean.over_examples, mean.over_both)),
            ),
        )
        for norm, mean in found.items()
    )
    examples = next(iter(found.values())).num_examples
    return Table(
        f"Seeds and test set: AUEC minus {findings.comparison.reference}'s",
        ("norm", "difference", "new seeds", "new test set", "both"),
        rows,
        (
            "Points; half the width of 95 % intervals. New seeds: on this very test set, the "
            f"declared comparison. New test set: these networks on {examples:,} other examples of "
            "the same kind, paired by example. Both: as crossed random effects. Exploratory.",
        ),
    )


def _half(width: float) -> Shown:
    return Shown("–" if np.isnan(width) else f"± {number(width)}")
