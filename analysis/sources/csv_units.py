"""Errors in a CSV that may be fractions where percent are expected: of the file, or of a norm."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.errors import InputError

GROUP = ["dataset", "edition", "model"]


def check_units(frame: pd.DataFrame, path: Path) -> list[str]:
    """Warnings on norms whose errors look like fractions beside percent.

    Errors of 0.07 may be 7 % or 0.07 %; only a chance error above 1 says which. Raises
    `InputError` where the whole file, or a norm without a chance error, may hold fractions.
    """
    _refuse_fractions(frame, path)
    return [line for _, rows in frame.groupby(GROUP, sort=False) for line in _mixed(rows, path)]


def _refuse_fractions(frame: pd.DataFrame, path: Path) -> None:
    errors, chance = frame["test_error"].dropna(), frame["chance_error"].dropna()
    if len(errors) and errors.max() <= 1 and not (chance > 1).any():
        raise InputError(
            f"{path}: every `test_error` is at most 1 (the highest is {errors.max():g}), so these "
            "may be fractions. Errors are in percent: multiply them by 100; or, if they are "
            "percent, add the column `chance_error` (90 with ten classes)"
        )


def _mixed(rows: pd.DataFrame, path: Path) -> list[str]:
    """Of one data set and network: norms (and variants) whose errors are fractions, it seems.

    All of a norm's errors are at most 1, and a hundred times their median is nearer to the other
    norms' median than the median itself, by ratio.
    """
    lines = []
    for (norm, variant), own in rows.groupby(["norm", "variant"], sort=False):
        errors = own["test_error"].dropna()
        others = rows.drop(own.index)["test_error"].dropna()
        if errors.empty or errors.max() > 1 or others.empty:
            continue
        middle, beside = float(errors.median()), float(others.median())
        if not 0 < 10 * middle < beside:
            continue
        name = f"{norm} ({variant})" if variant else str(norm)
        what = (
            f"every `test_error` of {name} is at most 1 (the median is {middle:g}), that of the "
            f"others is {beside:g} in the middle, so {name}'s may be fractions beside percent"
        )
        if not (own["chance_error"] > 1).any():
            raise InputError(
                f"{path}: {what}. Errors are in percent: multiply {name}'s by 100; or, if they are "
                "percent, add the column `chance_error` (90 with ten classes)"
            )
        lines.append(f"{path.name}: {what}; if they are, multiply them by 100.")
    return lines
