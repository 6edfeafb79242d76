"""Checks for errors in a CSV that may be fractions where percent are expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.errors import AnalysisError
from analysis.sources.suspected_fractions import (
    SuspectedSizes,
    find_suspected_sizes,
    look_like_fractions,
)

GROUP_COLUMNS = ["dataset", "edition", "model"]


@dataclass(frozen=True)
class _Suspect:
    """Rows whose errors may be fractions although the column is in percent.

    Attributes:
        name: the rows in words: a norm, alone, with a seed or at batch sizes; or batch sizes.
        rows: the rows whose errors may be fractions.
        neighbour_rows: the rows that `rows` are compared with.
        is_refused: whether fractions are so likely that the file is refused.
        is_norm: whether `rows` are all rows of one norm, and `name` is the norm's.
    """

    name: str
    rows: pd.DataFrame
    neighbour_rows: pd.DataFrame
    is_refused: bool = True
    is_norm: bool = False

    @property
    def possessive(self) -> str:
        """Words for the errors of these rows within a sentence on errors."""
        return f"{self.name}'s" if self.is_norm else f"those of {self.name}"


def check_units(frame: pd.DataFrame, path: Path) -> list[str]:
    """Return warnings on rows whose errors look like fractions beside percent.

    Errors of 0.07 may mean 7 % or 0.07 %; only a chance error above 1 decides which.

    Raises:
        AnalysisError: the file, or a norm, seed or batch size in it, may hold fractions and has no
            chance error; or a chance error is itself a fraction.
    """
    _raise_if_all_fractions(frame, path)
    _raise_if_chance_is_fraction(frame, path)
    lines = [_warn_if_all_small(rows, path) for _, rows in frame.groupby(GROUP_COLUMNS, sort=False)]
    for _, rows in frame.groupby(GROUP_COLUMNS, sort=False):
        lines += _check_suspects(rows, path)
    return [line for line in lines if line]


def _raise_if_all_fractions(frame: pd.DataFrame, path: Path) -> None:
    """Raise `AnalysisError` where every error of the file is at most 1 without a chance error above
    1.
    """
    errors, chance = frame["test_error"].dropna(), frame["chance_error"].dropna()
    if errors.empty or errors.max() > 1 or (chance > 1).any():
        return
    what = f"every `test_error` is at most 1 (the highest is {errors.max():g})"
    if chance.empty:
        raise AnalysisError(
            f"{path}: {what}, so these may be fractions. Errors are in percent: multiply them by "
            "100; or, if they are percent, add the column `chance_error` (90 with ten classes)"
        )
    raise AnalysisError(
        f"{path}: {what}, and so is every `chance_error`. Errors are in percent: multiply both by "
        "100; or, if `test_error` is in percent, `chance_error` alone (90 with ten classes)"
    )


def _raise_if_chance_is_fraction(frame: pd.DataFrame, path: Path) -> None:
    """Raise `AnalysisError` for a chance error of at most 1, which is a fraction."""
    small = frame["chance_error"][frame["chance_error"].between(0, 1)]
    if len(small):
        value = float(small.iloc[0])
        remedy = f"{100 * value:g}" if 0 < value < 1 else "it in percent (90 with ten classes)"
        beside = " beside errors in percent" if frame["test_error"].max() > 1 else ""
        raise AnalysisError(
            f"{path}: `chance_error` is at most 1{beside} ({value:g} in row {small.index[0] + 1}); "
            f"write {remedy}"
        )


def _warn_if_all_small(rows: pd.DataFrame, path: Path) -> str:
    """Return a warning where every error of a data set and network is at most 1; else ""."""
    errors = rows["test_error"].dropna()
    if errors.empty or errors.max() > 1:
        return ""
    names = ", ".join(str(rows[name].iloc[0]) for name in GROUP_COLUMNS if rows[name].iloc[0])
    return (
        f"{path.name}: every `test_error`{f' of {names}' if names else ''} is at most 1 (the "
        f"highest is {errors.max():g}), so these may be fractions beside a `chance_error` in "
        "percent; if they are, multiply them by 100."
    )


def _check_suspects(rows: pd.DataFrame, path: Path) -> Iterator[str]:
    """Yield a warning for rows whose errors may be fractions; raise if fractions are likely.

    The rows are those of one data set and network.
    """
    for suspect in _find_suspects(rows):
        middle, beside = (
            part["test_error"].median() for part in (suspect.rows, suspect.neighbour_rows)
        )
        name, whose = suspect.name, suspect.possessive
        what = (
            f"every `test_error` of {name} is at most 1 (the median is {middle:g}), that of the "
            f"others is {beside:g} in the middle, so {whose} may be fractions beside percent"
        )
        if suspect.is_refused and not (suspect.rows["chance_error"] > 1).any():
            raise AnalysisError(
                f"{path}: {what}. Errors are in percent: multiply {whose} by 100; or, if they are "
                "percent, add the column `chance_error` (90 with ten classes)"
            )
        yield f"{path.name}: {what}; if they are, multiply them by 100."


def _find_suspects(rows: pd.DataFrame) -> Iterator[_Suspect]:
    """Yield groups of rows whose errors may be fractions and not percent.

    The groups are norms (with variants); if none is suspected, seeds of a norm; else batch sizes.
    """
    told: set[str] = set()
    blocks = find_suspected_sizes(rows)
    for (norm, variant), own in rows.groupby(["norm", "variant"], sort=False):
        name = f"{norm} ({variant})" if variant else str(norm)
        others = rows.drop(own.index)
        if look_like_fractions(own, others):
            yield _Suspect(name, own, others, is_norm=True)
            continue
        for seed, of_seed in own.groupby("seed", sort=False):
            same_sizes = own["batch_size"].isin(of_seed["batch_size"])
            beside = own[same_sizes & (own["seed"] != seed)]
            if look_like_fractions(of_seed, beside):
                yield _Suspect(f"{name} with seed {seed}", of_seed, beside)
        for block in blocks:
            if (block.norm, block.variant) == (norm, variant):
                suspect = _compare_suspected_sizes(block, name, rows, blocks)
                if suspect is not None and suspect.name not in told:
                    told.add(suspect.name)
                    yield suspect


def _compare_suspected_sizes(
    suspected: SuspectedSizes, name: str, rows: pd.DataFrame, all_suspected: list[SuspectedSizes]
) -> _Suspect | None:
    """Return the batch sizes as rows whose errors may be fractions; None if they are cleared.

    Errors of other norms at these batch sizes that are far above, or suspected as well, confirm the
    suspicion; other norms as low clear it. Errors that rise as the batch shrinks are what norms
    differ in, so the largest sizes alone are no reason to refuse the file.
    """
    is_here = rows["batch_size"].isin(suspected.sizes) & (rows["variant"] == suspected.variant)
    others = rows[is_here & (rows["norm"] != suspected.norm) & rows["test_error"].notna()]
    sizes = " and ".join(str(size) for size in suspected.sizes)
    where = f"batch size{'s' if len(suspected.sizes) > 1 else ''} {sizes}"
    if look_like_fractions(suspected.rows, others):
        return _Suspect(f"{name} at {where}", suspected.rows, suspected.neighbour_rows)
    alike = {item.norm for item in all_suspected if set(suspected.sizes) <= set(item.sizes)}
    if not set(others["norm"]) <= alike:
        return None
    return _Suspect(
        where, rows[is_here], suspected.neighbour_rows, is_refused=not suspected.holds_largest
    )
