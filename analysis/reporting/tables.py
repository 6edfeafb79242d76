"""The tables: as frames for CSV files, and as cells for the pages."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.formatting import digits_for, number, p_value, signed
from analysis.statistics.at_chance import are_both_at_chance
from analysis.statistics.cell import Cell
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Contrast
from analysis.statistics.inference.intervals import SeedMean


@dataclass(frozen=True)
class Shown:
    """One cell of a table on a page: `value` ± `margin`, `note` below it, `best` if set apart."""

    value: str
    margin: str = ""
    note: str = ""
    best: bool = False
    diverged: bool = False


@dataclass(frozen=True)
class Table:
    """A table on a page. The first heading is of the row labels."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]
    notes: tuple[str, ...] = ()

    def has_margins(self, column: int) -> bool:
        """Whether some cell of a column, counted without the labels, has a margin."""
        return any(cells[column].margin for _, cells in self.rows)


def error_frame(comparison: Comparison) -> pd.DataFrame:
    """Mean error by norm and batch size, percent, with everything needed to judge it."""
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


def top5_frame(findings: Findings) -> pd.DataFrame:
    """Mean top-5 error by norm and batch size, as `error_frame`; empty where none was recorded."""
    return error_frame(findings.by_top5) if findings.by_top5 else pd.DataFrame()


def gap_frame(comparison: Comparison) -> pd.DataFrame:
    """Differences from the reference, percentage points: AUEC first (`batch_size` empty)."""
    return pd.DataFrame.from_records(
        [
            {
                "norm": gap.norm,
                "reference": comparison.reference,
                "measure": "auec" if gap.batch_size is None else "error",
                "batch_size": "" if gap.batch_size is None else gap.batch_size,
                "difference": gap.difference.paired.value,
                "half_width_95": gap.difference.paired.half_width,
                "seeds": gap.difference.paired.num,
                "p": gap.difference.p,
                "p_holm": gap.p_adjusted,
                "pairing_correlation": gap.difference.correlation,
                "welch_half_width_95": gap.difference.welch.half_width,
                "welch_p": gap.difference.welch_p,
            }
            for gap in (*comparison.declared_contrasts, *comparison.cell_contrasts)
        ]
    )


def error_table(comparison: Comparison) -> Table:
    """Errors by norm and batch size as a page shows them."""
    winners = {size: comparison.get_best_norm(size) for size in comparison.batch_sizes}
    apart = {size: best.norm for size, best in winners.items() if best and not best.not_separated}
    if len(comparison.norms) == 1:
        apart = {}
    left_out = {(item.norm, size) for item in comparison.untrained for size in item.batch_sizes}
    rows = tuple(
        (
            norm,
            tuple(
                _error(
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
    return Table("Test error", ("norm", *map(str, comparison.batch_sizes)), rows, tuple(notes))


def top5_table(by_top5: Comparison) -> Table:
    """Top-5 errors by norm and batch size; `by_top5` has them as its errors."""
    table = error_table(by_top5)
    note = "An example is right where its class is among the five that the network rates highest."
    return replace(table, title="Top-5 test error", notes=(note, *table.notes))


def _error(cell: Cell | None, best: bool, asked: bool, absent: str) -> Shown:
    if cell is None:
        return Shown("", note=absent)
    note = f"{len(cell.ended)} of {len(cell.seeds)}" if asked else f"n = {len(cell.ended)}"
    if cell.diverged:
        note += f"\n† {len(cell.diverged)} diverged"
        if len(cell.diverged) < len(cell.ended):
            note += f"\nsurvivors {number(cell.survivors.value)}"
    return Shown(
        number(cell.error.value), margin(cell.error), note, best=best, diverged=bool(cell.diverged)
    )


def margin(mean: SeedMean) -> str:
    """Half an interval's width, or nothing where there is no interval."""
    return "" if np.isnan(mean.half_width) else number(mean.half_width, digits_for(mean))


def gap_table(comparison: Comparison) -> Table:
    """Differences from the reference as a page shows them."""
    sizes = comparison.batch_sizes
    title = f"Gap to {comparison.reference}"
    notes = (
        f"Error minus {comparison.reference}'s, percentage points, paired by seed: above 0 is "
        "worse. After ± half the width of the 95 % t interval; below, the p adjusted by Holm. "
        "Bold: adjusted p below 0.05.",
        "AUEC, the error averaged over batch sizes on the log axis, is the declared comparison "
        "and its own family; the single batch sizes are exploratory, adjusted together.",
    )
    marks = ("†: trials behind it diverged, counted at chance error.",) * any(
        comparison.rests_on_diverged(gap)
        for gap in (*comparison.declared_contrasts, *comparison.cell_contrasts)
    )
    if len(sizes) == 1:  # where AUEC is the error itself
        single = tuple(
            (gap.norm, (_gap(gap, comparison),)) for gap in comparison.declared_contrasts
        )
        return Table(title, ("norm", str(sizes[0])), single, (*notes[:1], *marks))
    by_size = {(gap.norm, gap.batch_size): gap for gap in comparison.cell_contrasts}
    rows = tuple(
        (
            gap.norm,
            tuple(
                _gap(item, comparison)
                for item in (gap, *(by_size[gap.norm, size] for size in sizes))
            ),
        )
        for gap in comparison.declared_contrasts
    )
    return Table(title, ("norm", "AUEC", *map(str, sizes)), rows, (*notes, *marks))


def _gap(gap: Contrast, comparison: Comparison) -> Shown:
    paired = gap.difference.paired
    if np.isnan(paired.value):
        return Shown("–")
    p = p_value(gap.p_adjusted)
    note = f"p {p}" if p != "–" else f"n = {paired.num}"
    if are_both_at_chance(comparison, gap):
        return Shown(signed(paired.value, digits_for(paired)), note="both at chance")
    lost = comparison.rests_on_diverged(gap)
    note += "\n† diverged" if lost else ""
    return Shown(signed(paired.value), margin(paired), note, gap.is_significant, diverged=lost)
