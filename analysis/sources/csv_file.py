"""Reader of a user's CSV: one row per trial, the columns of `COLUMNS`."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.schema import REQUESTED_COLUMNS, TRIAL_COLUMNS, conform_frame
from analysis.sources.csv_outcome import add_outcome
from analysis.sources.csv_units import check_units
from analysis.sources.csv_values import check_values
from analysis.sources.raw_results import RawResults, make_empty_curves

COLUMNS = (*TRIAL_COLUMNS, *REQUESTED_COLUMNS)
MISSING_VALUES = ("", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None")
"""Texts that spreadsheets and programs write for a missing number."""
MAX_SETTING_LEVELS = 20
"""Values of a column that is read as a setting, at most."""
DATE_PATTERN = r"\d{4}-\d{2}-\d{2}(?:[T ].*)?"
ZIP_SIGNATURE = b"PK\x03\x04"
UTF16_SIGNATURES = (b"\xff\xfe", b"\xfe\xff")
GZIP_SIGNATURE = b"\x1f\x8b"
TEXT_COLUMNS = {column.name for column in COLUMNS if column.kind == "text"}


def read_csv(path: Path) -> RawResults:
    """Return the content of a CSV file with one row per trial.

    The columns `norm`, `batch_size`, `seed` and `test_error` are required. Without a column
    `outcome`, `State` or `status` is read as the outcome, and an empty one means completed. Further
    columns of few values are settings.

    Raises:
        AnalysisError: a column is absent, a row has an unusable value, or errors may be fractions.
    """
    return _interpret_table(_read_table(path), path)


def read_frame(frame: pd.DataFrame) -> RawResults:
    """Return the content of a data frame with one row per trial, under the rules of `read_csv`.

    Args:
        frame: the columns of `COLUMNS` that are known, and further ones; it is not altered.

    Raises:
        AnalysisError: as for `read_csv`; the message names the source "data frame".
    """
    raw = frame.rename(columns=lambda name: str(name).strip()).reset_index(drop=True)
    for name in TEXT_COLUMNS & set(raw.columns):
        raw[name] = raw[name].astype(object).where(raw[name].isna(), raw[name].astype(str))
    return _interpret_table(raw, Path("data frame"))


def _interpret_table(raw: pd.DataFrame, path: Path) -> RawResults:
    """Return the raw results in a table's cells; `path` names the table in messages."""
    missing = [c.name for c in COLUMNS if c.required and c.name not in raw.columns]
    if missing:
        raise AnalysisError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(raw.columns)}"
        )
    if raw.empty:
        raise AnalysisError(f"{path} holds no rows")
    raw, notes = _strip_spaces(raw)
    try:
        raw, warnings = add_outcome(raw)
        frame = conform_frame(raw, COLUMNS)
    except AnalysisError as error:
        raise AnalysisError(f"{path}: {error}") from error
    check_values(frame, path)
    warnings += [*check_units(frame, path), *_warn_of_similar_labels(frame["norm"])]
    frame["outcome"] = frame["outcome"].where(frame["outcome"] != "", "completed")
    numbered = [f"row-{number}" for number in range(1, len(frame) + 1)]
    unclear = (frame["trial_id"] == "") | frame["trial_id"].duplicated(keep=False)
    frame["trial_id"] = frame["trial_id"].mask(unclear, numbered)
    frame["sweep"] = frame["sweep"].where(frame["sweep"] != "", get_table_name(path))
    known = {column.name for column in COLUMNS}
    further = raw[[name for name in raw.columns if name not in known]]
    levels = further[[name for name in further if _is_setting(further[name])]]
    unread = [str(name) for name in further if name not in levels]
    if len(levels.columns):
        notes.append(f"Columns read as settings, for --where: {', '.join(levels.columns)}.")
    if unread:
        notes.append(f"Columns not read: {', '.join(unread)}.")
    return RawResults(
        name=get_table_name(path),
        rows=[{str(k): v for k, v in row.items()} for row in frame.to_dict("records")],
        curves=make_empty_curves(),
        settings=_collect_settings(levels, list(frame["trial_id"])),
        made_by_sweep=False,
        warnings=warnings,
        notes=notes,
    )


def _is_setting(values: pd.Series[Any]) -> bool:
    """Return whether a column can be a setting: few values, each in several rows, and no dates."""
    texts = values.dropna().astype(str)
    if texts.empty or texts.str.fullmatch(DATE_PATTERN).all():
        return False
    counts = values.astype(str).value_counts()
    return len(counts) <= MAX_SETTING_LEVELS and int(counts.min()) > 1


def _warn_of_similar_labels(norms: pd.Series[str]) -> list[str]:
    """Return a warning for each group of norm labels that differ only in upper and lower case."""
    labels = pd.Series(norms.unique())
    return [
        f"The norms {', '.join(map(repr, alike))} differ in upper and lower case only and are "
        "compared as different norms; write one label if they are the same."
        for _, alike in labels.groupby(labels.str.lower(), sort=False)
        if len(alike) > 1
    ]


def _collect_settings(levels: pd.DataFrame, ids: list[str]) -> dict[str, dict[str, str]]:
    """Return the further columns of each row as text, by trial id; empty cells are left out."""
    names = [str(name) for name in levels]
    # Not to_dict("records"): before pandas 3 it gives no rows for a frame without columns.
    rows = levels.astype(object).where(levels.notna(), "").astype(str).to_numpy()
    return {
        trial_id: {name: text for name, text in zip(names, row, strict=True) if text}
        for trial_id, row in zip(ids, rows, strict=True)
    }


def _read_table(path: Path) -> pd.DataFrame:
    """Return the cells of a file with commas, semicolons or tabs between them, with or without BOM.

    With semicolons, a comma inside a number is a decimal point.
    """
    try:
        text = _read_text(path)
        heading = text.partition("\n")[0]
        separator = max(",;\t", key=heading.count)
        shape: dict[str, Any] = {"sep": separator, "skipinitialspace": True}
        headings = pd.read_csv(io.StringIO(text), nrows=0, **shape).columns
        raw: pd.DataFrame = pd.read_csv(
            io.StringIO(text),
            decimal="," if separator == ";" else ".",
            # A norm may be named NA, null or 03.
            dtype={name: str for name in headings if name.strip() in TEXT_COLUMNS},
            na_values={
                name: MISSING_VALUES for name in headings if name.strip() not in TEXT_COLUMNS
            },
            keep_default_na=False,
            **shape,
        )
    except AnalysisError:
        raise
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise AnalysisError(f"{path} cannot be read as a CSV: {_get_first_line(error)}") from error
    raw.columns = raw.columns.str.strip()
    return raw


def get_table_name(path: Path) -> str:
    """Return a table file's name without its suffix, and without `.gz`: `a` of `a.csv.gz`."""
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def _read_text(path: Path) -> str:
    """Return a table file's text, decompressed if need be; raise for other kinds of files."""
    content = path.read_bytes()
    if content.startswith(GZIP_SIGNATURE):
        content = gzip.decompress(content)
    if content.startswith(ZIP_SIGNATURE):
        raise AnalysisError(f"{path} is a workbook or a zip archive, no CSV; save it as CSV UTF-8")
    if b"\0" in content and not content.startswith(UTF16_SIGNATURES):
        raise AnalysisError(f"{path} is no text file; save it as CSV UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        how = f"line {line}: byte 0x{content[error.start]:02x}"
        if content.startswith(UTF16_SIGNATURES):
            how = "it begins like UTF-16, as Excel's Unicode Text does"
        raise AnalysisError(f"{path} is not UTF-8 ({how}); save it as CSV UTF-8") from error


def _strip_spaces(raw: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the cells without spaces around their text, and a note per column that had some."""
    texts = {str(name): raw[name].str.strip() for name in raw if name in TEXT_COLUMNS}
    spaced = {name: raw.loc[raw[name] != text, name] for name, text in texts.items()}
    notes = [
        f"Spaces at the ends of `{name}` are not read: {len(cells)} rows such as {cells.iloc[0]!r}."
        for name, cells in spaced.items()
        if len(cells)
    ]
    return raw.assign(**texts), notes


def _get_first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its class without a message."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
