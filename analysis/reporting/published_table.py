"""Printed values beside measured ones, as a frame and as page tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.formatting import (
    choose_digits,
    format_half_width,
    format_number,
    format_signed,
    join_words,
)
from analysis.published.measured_beside_printed import PublishedPair
from analysis.reporting.tables import PageTable, TableCell

_MEASURES = {
    "test_error": ("test error", "Percent.", 2),
    "test_top5_error": ("top-5 test error", "Percent.", 2),
    "epochs_to_threshold": (
        "epochs to 60 % accuracy",
        "Epochs until the error stays at or below 40 % for three evaluations; how the paper counts "
        "is not printed.",
        1,
    ),
}
_HEADINGS = (
    *("norm, batch size", "published", "measured", "difference"),
    *("inside the interval", "of one more run"),
)
_NOTE = (
    "As printed: one run each, without seeds or error bars. Measured: mean over seeds; after ± "
    "half its 95 % t interval. A printed figure is one run, so the interval of one more run, which "
    "is wider, is the fair one to hold it to; to lie inside is no evidence of being equal."
)


def tabulate_published(findings: Findings) -> pd.DataFrame:
    """Return one row per printed value: the measured value, the difference, and agreement."""
    return pd.DataFrame.from_records(
        [
            {
                "measure": item.measure,
                "norm": item.norm,
                "batch_size": item.batch_size,
                "printed_in": join_words(item.tables),
                "printed": item.printed,
                "about": item.is_approximate,
                "measured": item.measured.value,
                "half_width_95": item.measured.half_width,
                "one_run_half_width_95": item.run_half_width,
                "seeds": item.measured.num,
                "difference": item.difference,
                "inside_mean": item.is_in_mean_interval,
                "inside_one_run": item.is_in_run_interval,
            }
            for item in findings.published_pairs
        ]
    )


def build_published_tables(findings: Findings) -> Iterator[PageTable]:
    """Yield a table of published and measured values for each measure that papers print."""
    for measure, (title, meaning, digits) in _MEASURES.items():
        items = [item for item in findings.published_pairs if item.measure == measure]
        if items:
            yield PageTable(
                f"Published and measured: {title}",
                _HEADINGS,
                tuple(
                    (f"{item.norm}, {item.batch_size}", _build_published_cells(item, digits))
                    for item in items
                ),
                (f"{meaning} {_NOTE}",),
            )


def _build_published_cells(pair: PublishedPair, digits: int) -> tuple[TableCell, ...]:
    """Return the cells of one printed value."""
    mean = pair.measured
    known = choose_digits(mean)
    printed = (
        f"about {pair.printed:g}" if pair.is_approximate else format_number(pair.printed, digits)
    )
    return (
        TableCell(printed, note=join_words(pair.tables)),
        TableCell(
            "not reached"
            if np.isnan(mean.value) and pair.ended
            else format_number(mean.value, digits if np.isnan(mean.half_width) else known),
            format_half_width(mean),
            f"{pair.reached} of {pair.ended}" if pair.reached < pair.ended else f"n = {mean.num}",
        ),
        TableCell(format_signed(pair.difference, digits)),
        TableCell(_format_answer(pair.is_in_mean_interval)),
        TableCell(_format_answer(pair.is_in_run_interval), note=_format_run_interval(pair, digits)),
    )


def _format_run_interval(pair: PublishedPair, digits: int) -> str:
    """Return the interval within which one further run would lie; empty where missing."""
    if np.isnan(pair.run_half_width):
        return ""
    low, high = pair.measured.value - pair.run_half_width, pair.measured.value + pair.run_half_width
    return f"{format_number(low, digits)} to {format_number(high, digits)}"


def _format_answer(inside: bool | None) -> str:
    """Return `yes`, `no`, or a dash for None."""
    return "–" if inside is None else "yes" if inside else "no"
