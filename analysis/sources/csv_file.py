"""Trials from a user's own CSV: one row per trial, the columns of `COLUMNS`."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import InputError
from analysis.schema import ON_REQUEST, TRIAL_COLUMNS, tidy
from analysis.sources.csv_outcome import with_outcome
from analysis.sources.csv_units import check_units
from analysis.sources.csv_values import refuse_values
from analysis.sources.raw_results import Found, empty_curves

COLUMNS = (*TRIAL_COLUMNS, *ON_REQUEST)
ABSENT = ("", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None")
"""What stands for no number, as spreadsheets and programs write it."""
MOST_LEVELS = 20
"""Values of a column that is a setting."""
DATE = r"\d{4}-\d{2}-\d{2}(?:[T ].*)?"
ZIP = b"PK\x03\x04"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
GZIP = b"\x1f\x8b"
TEXTS = {column.name for column in COLUMNS if column.kind == "text"}


def read_csv(path: Path) -> Found:
    """What the file holds; nothing says which trials there should be.

    Needed columns are `norm`, `batch_size`, `seed` and `test_error`; a row without `outcome` is
    completed. Without a column `outcome`, `State` or `status` is read for it; further columns of
    few values are settings. Raises `InputError` for a row that cannot be used (`refuse_values`),
    and for errors that may be fractions (`check_units`).
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
        raw, warnings = with_outcome(raw)
        frame = tidy(raw, COLUMNS)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    refuse_values(frame, path)
    warnings += [*check_units(frame, path), *_labels_alike(frame["norm"])]
    frame["outcome"] = frame["outcome"].where(frame["outcome"] != "", "completed")
    numbered = [f"row-{number}" for number in range(1, len(frame) + 1)]
    unclear = (frame["trial_id"] == "") | frame["trial_id"].duplicated(keep=False)
    frame["trial_id"] = frame["trial_id"].mask(unclear, numbered)
    frame["sweep"] = frame["sweep"].where(frame["sweep"] != "", table_name(path))
    known = {column.name for column in COLUMNS}
    further = raw[[name for name in raw.columns if name not in known]]
    levels = further[[name for name in further if _has_levels(further[name])]]
    unread = [str(name) for name in further if name not in levels]
    if len(levels.columns):
        notes.append(f"Columns read as settings, for --where: {', '.join(levels.columns)}.")
    if unread:
        notes.append(f"Columns not read: {', '.join(unread)}.")
    return Found(
        name=table_name(path),
        rows=[{str(k): v for k, v in row.items()} for row in frame.to_dict("records")],
        curves=empty_curves(),
        settings=_settings(levels, list(frame["trial_id"])),
        made_by_sweep=False,
        warnings=warnings,
        notes=notes,
    )


def _has_levels(values: pd.Series[Any]) -> bool:
    """Whether a column may be a setting: few values, each in more than one row, and no dates."""
    texts = values.dropna().astype(str)
    if texts.empty or texts.str.fullmatch(DATE).all():
        return False
    counts = values.astype(str).value_counts()
    return len(counts) <= MOST_LEVELS and int(counts.min()) > 1


def _labels_alike(norms: pd.Series[str]) -> list[str]:
    """Return a warning for each group of norm labels that differ only in upper and lower case."""
    labels = pd.Series(norms.unique())
    return [
        f"The norms {', '.join(map(repr, alike))} differ in upper and lower case only and are "
        "compared as different norms; write one label if they are the same."
        for _, alike in labels.groupby(labels.str.lower(), sort=False)
        if len(alike) > 1
    ]


def _settings(levels: pd.DataFrame, ids: list[str]) -> dict[str, dict[str, str]]:
    """Each row's further columns as text, by its trial; what is empty is no setting."""
    rows = levels.astype(object).where(levels.notna(), "").astype(str).to_dict("records")
    return {
        trial_id: {str(name): text for name, text in row.items() if text}
        for trial_id, row in zip(ids, rows, strict=True)
    }


def _read(path: Path) -> pd.DataFrame:
    """The file's cells, with commas, semicolons or tabs between them, with or without a BOM.

    Between semicolons, a comma in a number is a decimal point.
    """
    try:
        text = _text(path)
        heading = text.partition("\n")[0]
        separator = max(",;\t", key=heading.count)
        shape: dict[str, Any] = {"sep": separator, "skipinitialspace": True}
        headings = pd.read_csv(io.StringIO(text), nrows=0, **shape).columns
        raw: pd.DataFrame = pd.read_csv(
            io.StringIO(text),
            decimal="," if separator == ";" else ".",
            # A norm may be named NA, null or 03.
            dtype={name: str for name in headings if name.strip() in TEXTS},
            na_values={name: ABSENT for name in headings if name.strip() not in TEXTS},
            keep_default_na=False,
            **shape,
        )
    except InputError:
        raise
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as a CSV: {_first_line(error)}") from error
    raw.columns = raw.columns.str.strip()
    return raw


def table_name(path: Path) -> str:
    """Return a table file's name without its suffix, and without `.gz`: `a` of `a.csv.gz`."""
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def _text(path: Path) -> str:
    """Return a table file's text, decompressed if need be; raises `InputError` for other files."""
    content = path.read_bytes()
    if content.startswith(GZIP):
        content = gzip.decompress(content)
    if content.startswith(ZIP):
        raise InputError(f"{path} is a workbook or a zip archive, no CSV; save it as CSV UTF-8")
    if b"\0" in content and not content.startswith(UTF16):
        raise InputError(f"{path} is no text file; save it as CSV UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        how = f"line {line}: byte 0x{content[error.start]:02x}"
        if content.startswith(UTF16):
            how = "it begins like UTF-16, as Excel's Unicode Text does"
        raise InputError(f"{path} is not UTF-8 ({how}); save it as CSV UTF-8") from error


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


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
