"""Trials from a user's own CSV: one row per trial, the columns of `COLUMNS`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import InputError
from analysis.schema import ON_REQUEST, TRIAL_COLUMNS, tidy
from analysis.sources.assemble import Found, empty_curves

COLUMNS = (*TRIAL_COLUMNS, *ON_REQUEST)
ABSENT = ("", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None")
"""What stands for no number, as spreadsheets and programs write it."""
TEXTS = {column.name for column in COLUMNS if column.kind == "text"}


def read_csv(path: Path) -> Found:
    """What the file holds; nothing says which trials there should be.

    Needed columns are `norm`, `batch_size`, `seed` and `test_error`; a row without `outcome` is
    completed. Raises `InputError` for one that has neither an outcome nor a test error.
    """
    raw = _read(path)
    missing = [c.name for c in COLUMNS if c.required and c.name not in raw.columns]
    if missing:
        raise InputError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(raw.columns)}"
        )
    if raw.empty:
        raise InputError(f"{path} holds no rows")
    raw, notes = _without_spaces(raw)
    try:
        frame = tidy(raw, COLUMNS)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    _refuse_fractions(frame, path)
    _refuse_silence(frame, path)
    frame["outcome"] = frame["outcome"].where(frame["outcome"] != "", "completed")
    numbered = [f"row-{number}" for number in range(1, len(frame) + 1)]
    frame["trial_id"] = frame["trial_id"].where(frame["trial_id"] != "", numbered)
    frame["sweep"] = frame["sweep"].where(frame["sweep"] != "", path.stem)
    known = {column.name for column in COLUMNS}
    unread = [name for name in raw.columns if name not in known]
    return Found(
        name=path.stem,
        rows=[{str(k): v for k, v in row.items()} for row in frame.to_dict("records")],
        curves=empty_curves(),
        notes=[*notes, *([f"Columns not read: {', '.join(unread)}."] if unread else [])],
    )


def _read(path: Path) -> pd.DataFrame:
    """The file's cells, with commas, semicolons or tabs between them, with or without a BOM.

    Between semicolons, a comma in a number is a decimal point.
    """
    try:
        heading = path.read_text(encoding="utf-8-sig").partition("\n")[0]
        separator = max(",;\t", key=heading.count)
        shape: dict[str, Any] = {"sep": separator, "encoding": "utf-8-sig"}
        headings = pd.read_csv(path, nrows=0, skipinitialspace=True, **shape).columns
        raw: pd.DataFrame = pd.read_csv(
            path,
            decimal="," if separator == ";" else ".",
            skipinitialspace=True,
            # A norm may be named NA, null or 03.
            dtype={name: str for name in headings if name.strip() in TEXTS},
            na_values={name: ABSENT for name in headings if name.strip() not in TEXTS},
            keep_default_na=False,
            **shape,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a CSV: {_first_line(error)}") from error
    raw.columns = raw.columns.str.strip()
    return raw


def _without_spaces(raw: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The cells without spaces around their text, and a note on each column that had some."""
    texts = {str(name): raw[name].str.strip() for name in raw if name in TEXTS}
    spaced = {name: raw.loc[raw[name] != text, name] for name, text in texts.items()}
    notes = [
        f"Spaces at the ends of `{name}` are not read: {len(cells)} rows such as {cells.iloc[0]!r}."
        for name, cells in spaced.items()
        if len(cells)
    ]
    return raw.assign(**texts), notes


def _refuse_fractions(frame: pd.DataFrame, path: Path) -> None:
    """Errors of 0.07 may be 7 % or 0.07 %; only a chance error above 1 says which."""
    errors, chance = frame["test_error"].dropna(), frame["chance_error"].dropna()
    if len(errors) and errors.max() <= 1 and not (chance > 1).any():
        raise InputError(
            f"{path}: every `test_error` is at most 1 (the highest is {errors.max():g}), so these "
            "may be fractions. Errors are in percent: multiply them by 100; or, if they are "
            "percent, add the column `chance_error` (90 with ten classes)"
        )


def _refuse_silence(frame: pd.DataFrame, path: Path) -> None:
    """A row without an error may have diverged; left out, it would speak for its norm."""
    silent = frame[(frame["outcome"] == "") & frame["test_error"].isna()]
    if len(silent):
        row = silent.iloc[0]
        more = f" (and {len(silent) - 1} more)" if len(silent) > 1 else ""
        raise InputError(
            f"{path}: row {silent.index[0] + 1}{more} has no `test_error`: norm={row['norm']!r}, "
            f"batch_size={row['batch_size']}, seed={row['seed']}. If it diverged, say "
            "outcome=diverged and chance_error=90 (with ten classes); else outcome=failed, or "
            "leave the row out"
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
