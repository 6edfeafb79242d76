"""Batch sizes of a norm in a CSV whose errors look like fractions beside its other errors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import pandas as pd


@dataclass(frozen=True)
class SuspectedSizes:
    """Neighbouring batch sizes of a norm whose errors are at most 1 and far below its others.

    `rows` are those of `sizes`, `beside` those of the next larger and smaller batch size.
    `holds_largest` says that the norm's largest batch size is among `sizes`.
    """

    norm: str
    variant: str
    sizes: tuple[int, ...]
    rows: pd.DataFrame
    neighbour_rows: pd.DataFrame
    holds_largest: bool


def look_like_fractions(rows: pd.DataFrame, other_rows: pd.DataFrame) -> bool:
    """Return whether the errors of `rows` are at most 1 and look like fractions beside the others.

    A hundred times their median is nearer, by ratio, to the others' median than the median itself.
    False where either has no errors, or the median is 0.
    """
    errors, beside = rows["test_error"].dropna(), other_rows["test_error"].dropna()
    if errors.empty or beside.empty or errors.max() > 1:
        return False
    return 0 < 10 * float(errors.median()) < float(beside.median())


def find_suspected_sizes(rows: pd.DataFrame) -> list[SuspectedSizes]:
    """Return the suspected batch sizes of every norm and variant in one data set and network."""
    found = []
    for (norm, variant), own in rows[rows["test_error"].notna()].groupby(["norm", "variant"]):
        highest = own.groupby("batch_size")["test_error"].max().sort_index(ascending=False)
        runs = [
            [size for size, _ in run]
            for _, run in groupby(
                zip(map(int, highest.index), highest, strict=True), key=lambda item: item[1] <= 1
            )
        ]
        for place, sizes in enumerate(runs):
            block = own[own["batch_size"].isin(sizes)]
            next_sizes = [runs[place - 1][-1]] if place else []
            next_sizes += [runs[place + 1][0]] if place + 1 < len(runs) else []
            beside = own[own["batch_size"].isin(next_sizes)]
            parts = [own[own["batch_size"] == size] for size in next_sizes]
            if parts and all(look_like_fractions(block, part) for part in parts):
                found.append(
                    SuspectedSizes(str(norm), str(variant), tuple(sizes), block, beside, place == 0)
                )
    return found
