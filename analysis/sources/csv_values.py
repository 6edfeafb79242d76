"""Rows of a CSV with a value that no measure should read: file, row, value, and what to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import InputError
from analysis.schema import ON_REQUEST, OUTCOMES, TRIAL_COLUMNS

PERCENTS = [
    column.name
    for column in (*TRIAL_COLUMNS, *ON_REQUEST)
    if column.unit == "percent" and column.kind == "float"
]
IF_DIVERGED = "If it diverged, say outcome=diverged and chance_error=90 (with ten classes)"


def refuse_values(frame: pd.DataFrame, path: Path) -> None:
    """Raise `InputError`, one line, for the first row of `frame` whose values cannot be used.

    `frame` has the columns of `TRIAL_COLUMNS`; an empty `outcome` is that of a completed trial,
    unless the row has no error: left out, it would speak for its norm.
    """
    for bad, what, remedy in _rules(frame):
        wrong = frame[bad.fillna(False).to_numpy(bool)]
        if len(wrong):
            row = wrong.iloc[0]
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise InputError(
                f"{path}: row {wrong.index[0] + 1}{more} {what(row)}: norm={row['norm']!r}, "
                f"batch_size={row['batch_size']}, seed={row['seed']}. {remedy}"
            )


def _rules(frame: pd.DataFrame) -> Iterator[tuple[Any, Any, str]]:
    """Which rows break a rule, what is said of such a row, and what to do."""
    yield frame["norm"] == "", _has_no("norm"), "Name the norm, or leave the row out"
    for name in ("batch_size", "seed"):
        yield frame[name].isna(), _has_no(name), f"Write its `{name}`, or leave the row out"
    yield (
        frame["batch_size"] < 1,
        lambda row: f"has a `batch_size` of {row['batch_size']}",
        "`batch_size >= 1` must hold",
    )
    yield (
        ~frame["outcome"].isin(["", *OUTCOMES]),
        lambda row: f"has the outcome {row['outcome']!r}",
        f"`outcome` must be one of {', '.join(OUTCOMES)}",
    )
    for name in PERCENTS:
        yield (
            ~(frame[name].isna() | frame[name].between(0, 100)),
            lambda row, name=name: f"has a `{name}` of {row[name]:g}",
            f"`0 <= {name} <= 100` must hold (percent); correct it. {IF_DIVERGED}",
        )
    yield (
        frame["outcome"].isin(["", "completed"]) & frame["test_error"].isna(),
        _has_no("test_error"),
        f"{IF_DIVERGED}; else outcome=failed, or leave the row out",
    )
    yield (
        (frame["outcome"] == "diverged") & frame["chance_error"].isna(),
        lambda row: "diverged and has no `chance_error`",
        "A diverged trial is scored at the error of guessing and needs `chance_error`: write 90 "
        "with ten classes",
    )


def _has_no(name: str) -> Any:
    return lambda row: f"has no `{name}`"
