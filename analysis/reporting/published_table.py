"""The papers' figures beside the measured ones, as a frame and as page tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.formatting import listed, number, signed
from analysis.published.measured_beside_printed import Against
from analysis.reporting.tables import Shown, Table, margin

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


def published_frame(findings: Findings) -> pd.DataFrame:
    """One row per printed figure: what was measured, the difference, and whether it fits."""
    return pd.DataFrame.from_records(
        [
            {
                "measure": item.measure,
                "norm": item.norm,
                "batch_size": item.batch_size,
                "printed_in": listed(item.tables),
                "printed": item.printed,
                "about": item.about,
                "measured": item.measured.value,
                "half_width_95": item.measured.half_width,
                "one_run_half_width_95": item.one_run,
                "seeds": item.measured.num,
                "difference": item.difference,
                "inside_mean": item.inside_mean,
                "inside_one_run": item.inside_run,
            }
            for item in findings.against_published
        ]
    )


def published_tables(findings: Findings) -> Iterator[Table]:
    """A table for each measure of which the papers print figures for these cells."""
    for measure, (title, meaning, digits) in _MEASURES.items():
        items = [item for item in findings.against_published if item.measure == measure]
        if items:
            yield Table(
                f"Published and measured: {title}",
                _HEADINGS,
                tuple((f"{item.norm}, {item.batch_size}", _row(item, digits)) for item in items),
                (f"{meaning} {_NOTE}",),
            )


def _row(item: Against, digits: int) -> tuple[Shown, ...]:
    mean = item.measured
    printed = f"about {item.printed:g}" if item.about else number(item.printed, digits)
    return (
        Shown(printed, note=listed(item.tables)),
        Shown(
            "not reached" if np.isnan(mean.value) and item.ended else number(mean.value, digits),
            margin(mean),
            f"{item.reached} of {item.ended}" if item.reached < item.ended else f"n = {mean.num}",
        ),
        Shown(signed(item.difference, digits)),
        Shown(_yes(item.inside_mean)),
        Shown(_yes(item.inside_run), note=_span(item, digits)),
    )


def _span(item: Against, digits: int) -> str:
    if np.isnan(item.one_run):
        return ""
    low, high = item.measured.value - item.one_run, item.measured.value + item.one_run
    return f"{number(low, digits)} to {number(high, digits)}"


def _yes(inside: bool | None) -> str:
    return "–" if inside is None else "yes" if inside else "no"
