"""The times to the threshold, as a frame and as a page table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.formatting import choose_uncertain_digits, format_number
from analysis.reporting.tables import PageTable, TableCell
from analysis.statistics.survival import UNITS, estimate_restricted_mean


def tabulate_times(findings: Findings) -> pd.DataFrame:
    """Return per cell how many trials reached the threshold, and the restricted mean time by unit.

    The horizon is the longest time that any trial of the cell was observed; a mean is missing where
    no trial reached the threshold.
    """
    times = findings.times
    if times is None:
        return pd.DataFrame()
    rows = []
    for (norm, size), part in times.groupby(["norm", "batch_size"], sort=False):
        reached = part["reached"].to_numpy(bool)
        row = {"norm": norm, "batch_size": size, "trials": len(part), "reached": int(reached.sum())}
        for unit in UNITS:
            horizon = float(part[unit].max())
            mean = estimate_restricted_mean(part[unit].to_numpy(float), reached, horizon)
            row |= {
                f"mean_{unit}": mean.value,
                f"half_width_95_{unit}": mean.half_width,
                f"horizon_{unit}": horizon,
            }
        rows.append(row)
    return pd.DataFrame.from_records(rows)


def build_time_table(findings: Findings) -> PageTable | None:
    """Return the page table of restricted mean times to the threshold; None if no times exist."""
    frame = tabulate_times(findings)
    if frame.empty:
        return None
    cells = {(row["norm"], row["batch_size"]): row for row in frame.to_dict("records")}
    sizes = [b for b in findings.comparison.batch_sizes if b in set(frame["batch_size"])]
    norms = [n for n in findings.comparison.norms if n in set(frame["norm"])]
    rows = tuple(
        (norm, tuple(_build_time_cell(cells.get((norm, size))) for size in sizes)) for norm in norms
    )
    return PageTable(
        f"Epochs to {findings.threshold or 0:g} % test error",
        ("norm", *map(str, sizes)),
        rows,
        (
            "Restricted mean (Kaplan-Meier) of the epochs until the error has stayed at or below "
            "the threshold for three evaluations; after ± half the width of its 95 % interval "
            "(Greenwood's variance, Student's t; none where fewer than three trials reached it or "
            "all took equally long); below, trials that reached it, and the mean in updates and "
            "seconds. A trial that never reaches it is censored at its last evaluation "
            "above it, as those after it might have become three; one that diverges, at the end. "
            "≥ where there are some of these, > and the longest watched where there are no others.",
        ),
    )


def describe_missing_curves(all_findings: Sequence[Findings]) -> list[str]:
    """Return a sentence where a threshold was declared and no input has curves; else empty."""
    asked = [item.threshold for item in all_findings if item.threshold is not None]
    if not asked or any(item.times is not None for item in all_findings):
        return []
    return [
        f"No time to {asked[0]:g} % test error is shown: the input holds the last epoch's "
        "errors alone, and no curves."
    ]


def _build_time_cell(row: dict[Any, Any] | None) -> TableCell:
    """Return the table cell of a mean time."""
    if row is None:
        return TableCell("")
    of_all = f"{row['reached']} of {row['trials']}"
    if not row["reached"]:
        length = f"> {row['horizon_epochs']:.0f} epochs"
        return TableCell("not reached", note=f"{of_all}\n{length}\n{_format_work(row, 'horizon')}")
    width = row["half_width_95_epochs"]
    digits = 1 if np.isnan(width) else choose_uncertain_digits(width)
    least = "≥ " if row["reached"] < row["trials"] else ""
    return TableCell(
        f"{least}{format_number(row['mean_epochs'], digits)}",
        "" if np.isnan(width) else format_number(width, digits),
        note=f"{of_all}\n{_format_work(row, 'mean')}",
    )


def _format_work(row: dict[Any, Any], prefix: str) -> str:
    """Return the optimizer updates and seconds of a cell as text.

    Seconds are left out if missing, as where all trials diverged.
    """
    updates, seconds = row[f"{prefix}_updates"], row[f"{prefix}_seconds"]
    around = {"updates": "", "seconds": ""}
    if prefix == "mean":
        for unit, digits in (("updates", 0), ("seconds", 1)):
            width = row[f"half_width_95_{unit}"]
            around[unit] = "" if np.isnan(width) else f" ± {width:,.{digits}f}"
    text = f"{updates:,.0f}{around['updates']} updates"
    return text + ("" if np.isnan(seconds) else f"\n{seconds:,.1f}{around['seconds']} s")
