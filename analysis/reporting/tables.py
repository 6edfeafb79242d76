"""The tables of errors and contrasts: as frames for CSV files, and as cells for the pages."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.formatting import format_difference, format_half_width, format_mean, format_p
from analysis.statistics.at_chance import are_both_at_chance
from analysis.statistics.cell import Cell
from analysis.statistics.comparison import Comparison
from analysis.statistics.contrasts import compute_sign_flip_p
from analysis.statistics.inference.family import Contrast
from analysis.statistics.inference.intervals import ALPHA


@dataclass(frozen=True)
class TableCell:
    """A cell of a page table: `value` ± `margin`, with `note` below.

    `best` sets it in bold, `diverged` marks diverged trials.
    """

    value: str
    margin: str = ""
    note: str = ""
    best: bool = False
    diverged: bool = False


@dataclass(frozen=True)
class PageTable:
    """A table of a page; the first heading is of the row labels."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[TableCell, ...]], ...]
    notes: tuple[str, ...] = ()

    def has_margins(self, column: int) -> bool:
        """Return whether some cell of a column, counted without the labels, has a margin."""
        return any(cells[column].margin for _, cells in self.rows)


def tabulate_cell_errors(comparison: Comparison) -> pd.DataFrame:
    """Return mean error (percent) by norm and batch size, with intervals and numbers of seeds."""
    return pd.DataFrame.from_records(
        [
            {
                "norm": cell.norm,
                "batch_size": cell.batch_size,
                "mean_error": cell.error.value,
                "half_width_95": cell.error.half_width,
                "sd": cell.error.sd,
                "seeds_ended": len(cell.ended),
                "seeds_asked": len(cell.seeds),
                "diverged": len(cell.diverged),
                "survivors_mean_error": cell.survivors.value,
            }
            for cell in comparison.cells.values()
        ]
    )


def tabulate_top5_errors(findings: Findings) -> pd.DataFrame:
    """Return mean top-5 error by norm and batch size; empty where none was recorded."""
    return tabulate_cell_errors(findings.by_top5) if findings.by_top5 else pd.DataFrame()


def tabulate_contrasts(findings: Findings) -> pd.DataFrame:
    """Return differences from the reference, points: the declared ones first.

    `half_width_95` is that of a contrast by itself, `half_width_simultaneous` that of the interval
    that agrees with Holm's verdict.
    """
    comparison = findings.comparison
    return pd.DataFrame.from_records(
        [
            {
                "norm": gap.norm,
                "reference": comparison.reference,
                "measure": str(gap.measure),
                "batch_size": "" if gap.batch_size is None else gap.batch_size,
                "difference": gap.value,
                "half_width_95": gap.estimate.half_width(ALPHA),
                "half_width_simultaneous": gap.half_width,
                "df": gap.estimate.df,
                "seeds": gap.num,
                "p": gap.estimate.p,
                "p_holm": gap.p_adjusted,
                "verdict": str(findings.decide(gap)) if gap.is_tested else "",
                "p_sign_flip": compute_sign_flip_p(comparison, gap),
                "pairing_correlation": gap.difference.correlation,
                "welch_half_width_95": gap.difference.welch.half_width,
                "welch_p": gap.difference.welch_p,
            }
            for gap in (*comparison.declared_contrasts, *comparison.cell_contrasts)
        ]
    )


def build_error_table(comparison: Comparison) -> PageTable:
    """Return the page table of errors by norm and batch size."""
    winners = {size: comparison.get_best_norm(size) for size in comparison.batch_sizes}
    apart = {size: best.norm for size, best in winners.items() if best and not best.not_separated}
    if len(comparison.norms) == 1:
        apart = {}
    left_out = {(item.norm, size) for item in comparison.untrained for size in item.batch_sizes}
    rows = tuple(
        (
            norm,
            tuple(
                _build_error_cell(
                    comparison.cells.get((norm, size)),
                    apart.get(size) == norm,
                    comparison.has_grid,
                    "not trained" if (norm, size) in left_out else "not asked for",
                )
                for size in comparison.batch_sizes
            ),
        )
        for norm in comparison.norms
    )
    below = "seeds with a result" + (" of seeds asked for" if comparison.has_grid else "")
    notes = [
        "Mean of the last epoch's test error over seeds, percent; after ± half the width of its "
        f"95 % t interval; below, {below}."
    ]
    if apart:
        others = "the other" if len(comparison.norms) == 2 else "every other norm"
        notes.append(
            f"Bold: lowest, and distinguishable from {others}. Exploratory: against the reference "
            "by the table of gaps, else by Holm over all other pairs and batch sizes."
        )
    if any(cell.diverged for cell in comparison.cells.values()):
        survived = any(0 < len(c.diverged) < len(c.ended) for c in comparison.cells.values())
        beside = "; beside it, survivors only" if survived else ""
        notes.append(f"†: diverged trials, counted at chance error{beside}.")
    return PageTable("Test error", ("norm", *map(str, comparison.batch_sizes)), rows, tuple(notes))


def build_top5_table(by_top5: Comparison) -> PageTable:
    """Return the page table of top-5 errors; `by_top5` has them as its errors."""
    table = build_error_table(by_top5)
    note = "An example is right where its class is among the five that the network rates highest."
    return replace(table, title="Top-5 test error", notes=(note, *table.notes))


def _build_error_cell(cell: Cell | None, best: bool, asked: bool, absence_note: str) -> TableCell:
    """Return the table cell of one cell's error."""
    if cell is None:
        return TableCell("", note=absence_note)
    note = f"{len(cell.ended)} of {len(cell.seeds)}" if asked else f"n = {len(cell.ended)}"
    if cell.diverged:
        note += f"\n† {len(cell.diverged)} diverged"
        if len(cell.diverged) < len(cell.ended):
            note += f"\nsurvivors {format_mean(cell.survivors)}"
    return TableCell(
        format_mean(cell.error),
        format_half_width(cell.error),
        note,
        best=best,
        diverged=bool(cell.diverged),
    )


def build_contrast_table(findings: Findings) -> PageTable:
    """Return the page table of differences from the reference."""
    comparison = findings.comparison
    sizes = comparison.batch_sizes
    title = f"Gap to {comparison.reference}"
    how = "unpaired" if comparison.is_unpaired else "paired by seed"
    notes = (
        f"Error minus {comparison.reference}'s, percentage points, {how}: above 0 is "
        "worse. After ± half the width of the simultaneous 95 % interval, which leaves out 0 "
        "exactly where the p below it, adjusted by Holm, is below 0.05 (bold).",
        "AUEC, the error averaged over batch sizes on the log axis (level), and D, the rise from "
        "the largest batch to the smallest (robustness), are the declared comparisons and one "
        "family; the single batch sizes are exploratory, paired by seed and adjusted together.",
    )
    marks = ("†: trials behind it diverged, counted at chance error.",) * any(
        comparison.rests_on_diverged(gap)
        for gap in (*comparison.declared_contrasts, *comparison.cell_contrasts)
    )
    if len(sizes) == 1:  # where AUEC is the error itself
        single = tuple(
            (gap.norm, (_build_contrast_cell(gap, comparison),))
            for gap in comparison.declared_contrasts
        )
        return PageTable(title, ("norm", str(sizes[0])), single, (*notes[:1], *marks))
    by_norm: dict[str, list[Contrast]] = {norm: [] for norm in comparison.distinct_norms[1:]}
    for gap in (*comparison.declared_contrasts, *comparison.cell_contrasts):
        by_norm[gap.norm].append(gap)
    rows = tuple(
        (norm, tuple(_build_contrast_cell(gap, comparison) for gap in gaps))
        for norm, gaps in by_norm.items()
    )
    declared = ["AUEC", *(["D"] if len(comparison.common_batch_sizes) > 1 else [])]
    return PageTable(title, ("norm", *declared, *map(str, sizes)), rows, (*notes, *marks))


def _build_contrast_cell(contrast: Contrast, comparison: Comparison) -> TableCell:
    """Return the table cell of a contrast."""
    if np.isnan(contrast.value):
        return TableCell("–")
    note = f"p {format_p(contrast.p_adjusted)}" if contrast.is_tested else f"n = {contrast.num}"
    if are_both_at_chance(comparison, contrast):
        return TableCell(format_difference(contrast), note="both at chance")
    lost = comparison.rests_on_diverged(contrast)
    note += "\n† diverged" if lost else ""
    return TableCell(
        format_difference(contrast),
        format_half_width(contrast),
        note,
        contrast.is_significant,
        diverged=lost,
    )
