"""Errors under each kind of test statistics, as a frame and as a page table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.figures.norm_statistics import KIND_NAMES
from analysis.findings import Findings
from analysis.formatting import (
    format_difference,
    format_half_width,
    format_mean,
)
from analysis.reporting.tables import PageTable, TableCell
from analysis.schema import STATISTICS_KINDS
from analysis.statistics.decomposition import DecomposedCell
from analysis.statistics.inference.intervals import SeedMean


def tabulate_test_statistics(findings: Findings) -> pd.DataFrame:
    """Return errors by kind of test statistics, and the harm of moving averages.

    One row per batch size and norm that was tested in several ways.
    """
    rows = []
    for cells in findings.decomposed_norms.values():
        for cell in cells:
            row: dict[str, object] = {"norm": cell.norm, "batch_size": cell.batch_size}
            row |= {"diverged": len(cell.diverged)}
            for name, mean in (
                *cell.means.items(),
                ("ema_minus_precise", cell.moving_average_harm),
            ):
                if mean is not None:
                    row[name] = mean.value
                    row[f"{name}_half_width_95"] = mean.half_width
                    row[f"{name}_seeds"] = mean.num
            rows.append(row)
    return pd.DataFrame.from_records(rows)


def build_statistics_table(findings: Findings) -> PageTable | None:
    """Return the page table of errors by test statistics; None without such norms."""
    found = findings.decomposed_norms
    if not found:
        return None
    sizes = findings.comparison.batch_sizes
    notes = [
        "Mean of the last epoch's test error over seeds, percent; after ± half the width of its "
        "95 % t interval. Moving average minus recomputed, paired by seed: the points that the "
        "moving averages lose at test time, not in training. Exploratory, unadjusted."
    ]
    if any(cell.diverged for cells in found.values() for cell in cells):
        notes.append(
            "†: with diverged trials, counted at chance error; they are left out of the difference."
        )
    rows = tuple(row for norm, cells in found.items() for row in _build_rows(norm, cells, sizes))
    return PageTable(
        "Test error by test statistics",
        ("norm, statistics", *map(str, sizes)),
        rows,
        tuple(notes),
    )


def _build_rows(
    norm: str, cells: Sequence[DecomposedCell], sizes: Sequence[int]
) -> list[tuple[str, tuple[TableCell, ...]]]:
    """Return the table rows of one norm."""
    by_size = {cell.batch_size: cell for cell in cells}
    rows = [
        (
            f"{norm}, {KIND_NAMES[kind]}",
            tuple(_build_statistics_cell(by_size.get(size), kind) for size in sizes),
        )
        for kind in STATISTICS_KINDS
        if any(kind in cell.errors for cell in cells)
    ]
    if any(cell.moving_average_harm for cell in cells):
        label = f"{norm}, {KIND_NAMES['ema']} minus {KIND_NAMES['precise']}"
        rows.append((label, tuple(_build_harm_cell(by_size.get(size)) for size in sizes)))
    return rows


def _build_statistics_cell(cell: DecomposedCell | None, kind: str) -> TableCell:
    """Return the table cell of a mean error."""
    mean = cell.means.get(kind) if cell else None
    if cell is None or mean is None:
        return TableCell("–")
    note = f"† {len(cell.diverged)} diverged" if cell.diverged else ""
    return TableCell(format_mean(mean), format_half_width(mean), note, diverged=bool(cell.diverged))


def _build_harm_cell(cell: DecomposedCell | None) -> TableCell:
    """Return the table cell of the harm of moving averages."""
    mean: SeedMean | None = cell.moving_average_harm if cell else None
    return TableCell(format_difference(mean), format_half_width(mean)) if mean else TableCell("–")
