"""Errors in a CSV that may be fractions where percent are expected, in all rows or in some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.errors import InputError
from analysis.sources.suspected_fractions import Block, is_far_below, suspected_blocks

GROUP = ["dataset", "edition", "model"]


@dataclass(frozen=True)
class _Suspect:
    """Rows whose errors may be fractions, by a name, beside rows whose errors are percent.

    `refused` says whether that is so unlikely otherwise that the file is refused.
    """

    name: str
    rows: pd.DataFrame
    beside: pd.DataFrame
    refused: bool = True
    is_norm: bool = False

    @property
    def whose(self) -> str:
        """The errors of these rows in a sentence that has spoken of errors."""
        return f"{self.name}'s" if self.is_norm else f"those of {self.name}"


def check_units(frame: pd.DataFrame, path: Path) -> list[str]:
    """Warnings on rows whose errors look like fractions beside percent.

    Errors of 0.07 may be 7 % or 0.07 %; only a chance error above 1 says which. Raises
    `InputError` where the whole file, or a norm, a seed or a batch size of it, may hold fractions
    without a chance error, and for a chance error that is a fraction itself.
    """
    _refuse_fractions(frame, path)
    _refuse_fractional_chance(frame, path)
    lines = [_all_small(rows, path) for _, rows in frame.groupby(GROUP, sort=False)]
    for _, rows in frame.groupby(GROUP, sort=False):
        lines += _mixed(rows, path)
    return [line for line in lines if line]


def _refuse_fractions(frame: pd.DataFrame, path: Path) -> None:
    errors, chance = frame["test_error"].dropna(), frame["chance_error"].dropna()
    if errors.empty or errors.max() > 1 or (chance > 1).any():
        return
    what = f"every `test_error` is at most 1 (the highest is {errors.max():g})"
    if chance.empty:
        raise InputError(
            f"{path}: {what}, so these may be fractions. Errors are in percent: multiply them by "
            "100; or, if they are percent, add the column `chance_error` (90 with ten classes)"
        )
    raise InputError(
        f"{path}: {what}, and so is every `chance_error`. Errors are in percent: multiply both by "
        "100; or, if `test_error` is in percent, `chance_error` alone (90 with ten classes)"
    )


def _refuse_fractional_chance(frame: pd.DataFrame, path: Path) -> None:
    """An error of guessing of at most 1 % is none: it is a fraction beside percent."""
    small = frame["chance_error"][frame["chance_error"].between(0, 1)]
    if len(small):
        value = float(small.iloc[0])
        remedy = f"{100 * value:g}" if 0 < value < 1 else "it in percent (90 with ten classes)"
        beside = " beside errors in percent" if frame["test_error"].max() > 1 else ""
        raise InputError(
            f"{path}: `chance_error` is at most 1{beside} ({value:g} in row {small.index[0] + 1}); "
            f"write {remedy}"
        )


def _all_small(rows: pd.DataFrame, path: Path) -> str:
    """A warning where every error of a data set and network is at most 1; empty otherwise."""
    errors = rows["test_error"].dropna()
    if errors.empty or errors.max() > 1:
        return ""
    names = ", ".join(str(rows[name].iloc[0]) for name in GROUP if rows[name].iloc[0])
    return (
        f"{path.name}: every `test_error`{f' of {names}' if names else ''} is at most 1 (the "
        f"highest is {errors.max():g}), so these may be fractions beside a `chance_error` in "
        "percent; if they are, multiply them by 100."
    )


def _mixed(rows: pd.DataFrame, path: Path) -> Iterator[str]:
    """Of one data set and network: the rows whose errors are fractions, it seems."""
    for suspect in _suspects(rows):
        middle, beside = (part["test_error"].median() for part in (suspect.rows, suspect.beside))
        name, whose = suspect.name, suspect.whose
        what = (
            f"every `test_error` of {name} is at most 1 (the median is {middle:g}), that of the "
            f"others is {beside:g} in the middle, so {whose} may be fractions beside percent"
        )
        if suspect.refused and not (suspect.rows["chance_error"] > 1).any():
            raise InputError(
                f"{path}: {what}. Errors are in percent: multiply {whose} by 100; or, if they are "
                "percent, add the column `chance_error` (90 with ten classes)"
            )
        yield f"{path.name}: {what}; if they are, multiply them by 100."


def _suspects(rows: pd.DataFrame) -> Iterator[_Suspect]:
    """Norms (and variants), else seeds of a norm, else batch sizes of a norm or of all norms."""
    told: set[str] = set()
    blocks = suspected_blocks(rows)
    for (norm, variant), own in rows.groupby(["norm", "variant"], sort=False):
        name = f"{norm} ({variant})" if variant else str(norm)
        others = rows.drop(own.index)
        if is_far_below(own, others):
            yield _Suspect(name, own, others, is_norm=True)
            continue
        for seed, of_seed in own.groupby("seed", sort=False):
            same_sizes = own["batch_size"].isin(of_seed["batch_size"])
            beside = own[same_sizes & (own["seed"] != seed)]
            if is_far_below(of_seed, beside):
                yield _Suspect(f"{name} with seed {seed}", of_seed, beside)
        for block in blocks:
            if (block.norm, block.variant) == (norm, variant):
                suspect = _of_block(block, name, rows, blocks)
                if suspect is not None and suspect.name not in told:
                    told.add(suspect.name)
                    yield suspect


def _of_block(block: Block, name: str, rows: pd.DataFrame, blocks: list[Block]) -> _Suspect | None:
    """The suspected batch sizes of a norm held against the other norms at these sizes.

    Where those are far above, or suspected themselves, the suspicion stands; where they are as
    low, the errors are what they seem. Errors that rise as the batch shrinks are what norms
    differ in, so the largest sizes alone are no reason to refuse the file.
    """
    is_here = rows["batch_size"].isin(block.sizes) & (rows["variant"] == block.variant)
    others = rows[is_here & (rows["norm"] != block.norm) & rows["test_error"].notna()]
    sizes = " and ".join(str(size) for size in block.sizes)
    where = f"batch size{'s' if len(block.sizes) > 1 else ''} {sizes}"
    if is_far_below(block.rows, others):
        return _Suspect(f"{name} at {where}", block.rows, block.beside)
    alike = {item.norm for item in blocks if set(block.sizes) <= set(item.sizes)}
    if not set(others["norm"]) <= alike:
        return None
    return _Suspect(where, rows[is_here], block.beside, refused=not block.holds_largest)
