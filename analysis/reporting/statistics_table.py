"""Errors under each kind of test statistics, as a frame and as a page table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.figures.norm_statistics import NAMES
from analysis.findings import Findings
from analysis.formatting import number, signed
from analysis.reporting.tables import Shown, Table, margin
from analysis.schema import STATISTICS_KINDS
from analysis.statistics.decomposition import DecomposedCell
from analysis.statistics.inference.intervals import SeedMean


def statistics_frame(findings: Findings) -> pd.DataFrame:
    """One row per norm tested in several ways and batch size; errors percent, harm points."""
    rows = []
    for cells in findings.decomposed.values():
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


def statistics_table(findings: Findings) -> Table | None:
    """The same as a page shows it; None where no norm was tested in several ways."""
    found = findings.decomposed
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
    rows = tuple(row for norm, cells in found.items() for row in _rows(norm, cells, sizes))
    return Table(
        "Test error by test statistics",
        ("norm, statistics", *map(str, sizes)),
        rows,
        tuple(notes),
    )


def _rows(
    norm: str, cells: Sequence[DecomposedCell], sizes: Sequence[int]
) -> list[tuple[str, tuple[Shown, ...]]]:
    by_size = {cell.batch_size: cell for cell in cells}
    rows = [
        (f"{norm}, {NAMES[kind]}", tuple(_error(by_size.get(size), kind) for size in sizes))
        for kind in STATISTICS_KINDS
        if any(kind in cell.errors for cell in cells)
    ]
    if any(cell.moving_average_harm for cell in cells):
        label = f"{norm}, {NAMES['ema']} minus {NAMES['precise']}"
        rows.append((label, tuple(_harm(by_size.get(size)) for size in sizes)))
    return rows


def _error(cell: DecomposedCell | None, kind: str) -> Shown:
    mean = cell.means.get(kind) if cell else None
    if cell is None or mean is None:
        return Shown("–")
    note = f"† {len(cell.diverged)} diverged" if cell.diverged else ""
    return Shown(number(mean.value), margin(mean), note, diverged=bool(cell.diverged))


def _harm(cell: DecomposedCell | None) -> Shown:
    mean: SeedMean | None = cell.moving_average_harm if cell else None
    return Shown(signed(mean.value), margin(mean)) if mean else Shown("–")
