"""Checks of single values in a CSV; a message names file, row, value and what to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.schema import OUTCOMES, REQUESTED_COLUMNS, TRIAL_COLUMNS

PERCENT_COLUMNS = [
    column.name
    for column in (*TRIAL_COLUMNS, *REQUESTED_COLUMNS)
    if column.unit == "percent" and column.kind == "float"
]
IF_DIVERGED = "If it diverged, say outcome=diverged and chance_error=90 (with ten classes)"


def check_values(frame: pd.DataFrame, path: Path) -> None:
    """Raise `AnalysisError`, one line, for the first row of `frame` with an unusable value.

    `frame` has the columns of `TRIAL_COLUMNS`. An empty `outcome` means completed and so needs an
    error: left out, the row would count for its norm.
    """
    for bad, what, remedy in _list_rules(frame):
        wrong = frame[bad.fillna(False).to_numpy(bool)]
        if len(wrong):
            row = wrong.iloc[0]
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise AnalysisError(
                f"{path}: row {wrong.index[0] + 1}{more} {what(row)}: norm={row['norm']!r}, "
                f"batch_size={row['batch_size']}, seed={row['seed']}. {remedy}"
            )


def _list_rules(frame: pd.DataFrame) -> Iterator[tuple[Any, Any, str]]:
    """Yield per rule which rows break it, a function that describes such a row, and the remedy."""
    yield frame["norm"] == "", _describe_missing("norm"), "Name the norm, or leave the row out"
    for name in ("batch_size", "seed"):
        yield (
            frame[name].isna(),
            _describe_missing(name),
            f"Write its `{name}`, or leave the row out",
        )
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
    for name in PERCENT_COLUMNS:
        yield (
            ~(frame[name].isna() | frame[name].between(0, 100)),
            lambda row, name=name: f"has a `{name}` of {row[name]:g}",
            f"`0 <= {name} <= 100` must hold (percent); correct it. {IF_DIVERGED}",
        )
    yield (
        frame["outcome"].isin(["", "completed"]) & frame["test_error"].isna(),
        _describe_missing("test_error"),
        f"{IF_DIVERGED}; else outcome=failed, or leave the row out",
    )
    yield (
        (frame["outcome"] == "diverged") & frame["chance_error"].isna(),
        lambda row: "diverged and has no `chance_error`",
        "A diverged trial is scored at the error of guessing and needs `chance_error`: write 90 "
        "with ten classes",
    )


def _describe_missing(name: str) -> Any:
    """Return a function that says of a row that the column `name` is empty."""
    return lambda row: f"has no `{name}`"
