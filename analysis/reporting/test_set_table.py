"""Differences from the reference over seeds and over test examples, as a frame and as a table."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.formatting import choose_uncertain_digits, format_number, format_signed
from analysis.reporting.tables import PageTable, TableCell
from analysis.statistics.crossed_effects import CrossedMean


def tabulate_test_set_contrasts(findings: Findings) -> pd.DataFrame:
    """Return one row per norm: the difference in AUEC (points) and its 95 % half-widths."""
    return pd.DataFrame.from_records(
        [
            {"norm": norm, "reference": findings.comparison.reference, **asdict(found)}
            for norm, found in findings.test_set_contrasts.items()
        ]
    )


def build_test_set_table(findings: Findings) -> PageTable | None:
    """Return the page table of AUEC differences with their intervals over seeds and test examples.

    None where no trial stored which test examples were right.
    """
    found = findings.test_set_contrasts
    if not found:
        return None
    rows = tuple(
        (
            norm,
            (
                TableCell(
                    format_signed(mean.value, choose_uncertain_digits(_get_widest(mean))),
                    note=f"n = {mean.num_seeds}",
                ),
                *(
                    _build_half_width_cell(h)
                    for h in (mean.over_seeds, mean.over_examples, mean.over_both)
                ),
            ),
        )
        for norm, mean in found.items()
    )
    examples = next(iter(found.values())).num_examples
    return PageTable(
        f"Seeds and test set: AUEC minus {findings.comparison.reference}'s",
        ("norm", "difference", "new seeds", "new test set", "both"),
        rows,
        (
            "Points; half the width of 95 % intervals. New seeds: on this very test set, the "
            f"declared comparison. New test set: these networks on {examples:,} other examples of "
            "the same kind, paired by example. Both: as crossed random effects. Exploratory.",
        ),
    )


def _build_half_width_cell(width: float) -> TableCell:
    """Return the table cell of a half-width."""
    digits = choose_uncertain_digits(width)
    return TableCell("–" if np.isnan(width) else f"± {format_number(width, digits)}")


def _get_widest(mean: CrossedMean) -> float:
    """Return the largest known half-width of a difference; missing where none is known."""
    known = [w for w in (mean.over_seeds, mean.over_examples, mean.over_both) if not np.isnan(w)]
    return max(known, default=np.nan)
