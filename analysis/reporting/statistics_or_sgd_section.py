"""The separated harm of small batches, through statistics or SGD, in sentences and as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.formatting import (
    format_count,
    format_difference,
    format_half_width,
    format_mean,
    join_words,
)
from analysis.reporting.tables import PageTable, TableCell
from analysis.statistics.inference.intervals import SeedMean
from analysis.statistics.statistics_or_sgd import SeparatedHarm, SeparatedRise

MAX_SENTENCES = 6
"""Norms with a sentence each; with more, only the table has them."""


def tabulate_harm(harms: Sequence[SeparatedHarm]) -> pd.DataFrame:
    """Return one row per norm: its rise in error and the parts from statistics and SGD, points."""
    return pd.DataFrame.from_records(
        [
            {
                "comparison": item.label,
                "norm": rise.norm,
                "largest": rise.largest,
                "smallest": rise.smallest,
                "num_examples": rise.num_examples,
                "seeds": rise.sgd.num,
                **{
                    f"{part}{end}": value
                    for part in ("total", "statistics", "sgd")
                    for end, value in _list_columns(getattr(rise, part)).items()
                },
            }
            for item in harms
            for rise in item.rises
        ]
    )


def _list_columns(mean: SeedMean) -> dict[str, float]:
    """Return a mean and its half-width by column suffix."""
    return {"": mean.value, "_half_width_95": mean.half_width}


def describe_harm(harm: SeparatedHarm) -> list[str]:
    """Return sentences on the two halves of the grid, on each norm's rise, and on divergence."""
    lines = [
        "Each cell was trained twice: in one half the optimizer steps after each batch, in the "
        f"other after {harm.rises[0].num_examples} examples, however few share statistics."
    ]
    if len(harm.rises) <= MAX_SENTENCES:
        lines += [_describe_separated_rise(rise) for rise in harm.rises]
    if harm.diverged:
        lines.append(
            f"Some trials of {join_words(harm.diverged)} diverged and count at the error of "
            "guessing."
        )
    return lines


def _describe_separated_rise(rise: SeparatedRise) -> str:
    """Return a sentence on one norm's rise and its parts."""
    where = f"from batch size {rise.largest} to {rise.smallest}"
    change = "rise" if rise.total.value > 0 else "change"
    if rise.at_chance:
        return (
            f"{rise.norm}: every trial at batch size {rise.smallest} diverged in both halves, so "
            f"nothing of the {change} of {_format_mean_with_half_width(rise.total)} points "
            f"{where} can be "
            "credited to "
            "statistics or to SGD."
        )
    if np.isnan(rise.sgd.half_width):
        return (
            f"{rise.norm}: the {change} of {_format_mean_with_half_width(rise.total)} points "
            f"{where} is one of "
            f"{_format_mean_with_half_width(rise.statistics)} with statistics alone, which leaves "
            f"{_format_mean_with_half_width(rise.sgd)} "
            f"for small-batch SGD ({format_count(rise.sgd.num, 'seed')} in both halves, no "
            "interval)."
        )
    return (
        f"{rise.norm}: of the {change} of {_format_mean_with_half_width(rise.total)} points "
        f"{where}, "
        f"{_format_mean_with_half_width(rise.statistics)} come from small-batch "
        f"statistics{_describe_significance(rise.statistics)},"
        f" and the rest, {_format_mean_with_half_width(rise.sgd)}, from small-batch "
        f"SGD{_describe_significance(rise.sgd)}."
    )


def _format_mean_with_half_width(mean: SeedMean) -> str:
    """Return a mean with its half-width."""
    half = "" if np.isnan(mean.half_width) else f" ± {format_half_width(mean)}"
    return f"{format_mean(mean)}{half}"


def _describe_significance(mean: SeedMean) -> str:
    """Return words where a part is not significant or has no interval."""
    if np.isnan(mean.half_width):
        return ", without an interval"
    return ", not distinguishable from none" if mean.low <= 0 <= mean.high else ""


def build_harm_table(harm: SeparatedHarm) -> PageTable:
    """Return the page table of each norm's rise in error, and its parts from statistics and SGD."""
    examples = harm.rises[0].num_examples
    return PageTable(
        "Rise of error with a small batch: statistics or SGD",
        ("norm", "batch sizes", "whole rise", "through statistics", "through SGD"),
        tuple((rise.norm, _build_harm_cells(rise)) for rise in harm.rises),
        (
            "Points; after ± half a 95 % t interval over seeds. Whole: the optimizer steps after "
            f"each batch. Through statistics: it steps after {examples} examples however few share "
            "statistics. Through SGD: the first minus the second, paired by seed. Exploratory, "
            "unadjusted; the two are taken to add up. Unknown (–) where every trial at the "
            "smallest batch size diverged in both halves.",
        ),
    )


def _build_harm_cells(rise: SeparatedRise) -> tuple[TableCell, ...]:
    """Return the table cells of one norm."""
    parts = (rise.total, rise.statistics, rise.sgd)
    return (
        TableCell(f"{rise.largest} to {rise.smallest}"),
        *(
            TableCell(format_difference(mean), format_half_width(mean), f"n = {mean.num}")
            for mean in parts
        ),
    )
