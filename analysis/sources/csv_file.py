"""Trials from a user's own CSV: one row per trial, the columns of `COLUMNS`."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pandas as pd

from analysis.errors import InputError
from analysis.schema import ON_REQUEST, TRIAL_COLUMNS, tidy
from analysis.sources.assemble import Found, empty_curves

COLUMNS = (*TRIAL_COLUMNS, *ON_REQUEST)


def read_csv(path: Path) -> Found:
    """What the file holds. Without a grid, every crossing of its levels counts as expected.

    Needed columns are `norm`, `batch_size`, `seed` and `test_error`; a row without `outcome` is
    completed if it has a test error and failed otherwise.
    """
    raw = _read(path)
    missing = [c.name for c in COLUMNS if c.required and c.name not in raw.columns]
    if missing:
        raise InputError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(raw.columns)}"
        )
    if raw.empty:
        raise InputError(f"{path} holds no rows")
    try:
        frame = tidy(raw, COLUMNS)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    _refuse_fractions(frame, path)
    guessed = frame["test_error"].notna().map({True: "completed", False: "failed"})
    frame["outcome"] = frame["outcome"].where(frame["outcome"] != "", guessed)
    numbered = [f"row-{number}" for number in range(1, len(frame) + 1)]
    frame["trial_id"] = frame["trial_id"].where(frame["trial_id"] != "", numbered)
    frame["sweep"] = frame["sweep"].where(frame["sweep"] != "", path.stem)
    known = {column.name for column in COLUMNS}
    unread = [name for name in raw.columns if name not in known]
    return Found(
        name=path.stem,
        rows=[{str(k): v for k, v in row.items()} for row in frame.to_dict("records")],
        curves=empty_curves(),
        expected=_crossed(frame),
        notes=[f"Columns not read: {', '.join(unread)}."] if unread else [],
    )


def _read(path: Path) -> pd.DataFrame:
    """The file's cells, with commas, semicolons or tabs between them, with or without a BOM.

    Between semicolons, a comma in a number is a decimal point.
    """
    try:
        heading = path.read_text(encoding="utf-8-sig").partition("\n")[0]
        separator = max(",;\t", key=heading.count)
        raw = pd.read_csv(
            path,
            sep=separator,
            decimal="," if separator == ";" else ".",
            skipinitialspace=True,
            encoding="utf-8-sig",
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a CSV: {_first_line(error)}") from error
    raw.columns = raw.columns.str.strip()
    return raw


def _refuse_fractions(frame: pd.DataFrame, path: Path) -> None:
    """Errors of 0.07 may be 7 % or 0.07 %; only a chance error above 1 says which."""
    errors, chance = frame["test_error"].dropna(), frame["chance_error"].dropna()
    if len(errors) and errors.max() <= 1 and not (chance > 1).any():
        raise InputError(
            f"{path}: every `test_error` is at most 1 (the highest is {errors.max():g}), so these "
            "may be fractions. Errors are in percent: multiply them by 100; or, if they are "
            "percent, add the column `chance_error` (90 with ten classes)"
        )


def _crossed(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Every norm at every batch size with every seed, within each sweep and variant."""
    names = ("norm", "batch_size", "seed")
    return [
        {"sweep": sweep, "variant": variant, **dict(zip(names, levels, strict=True))}
        for (sweep, variant), part in frame.groupby(["sweep", "variant"], sort=False)
        for levels in product(*(part[name].dropna().unique() for name in names))
    ]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
