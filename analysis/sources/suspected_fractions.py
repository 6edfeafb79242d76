"""Batch sizes of a norm whose errors in a CSV look like fractions beside those of its others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import pandas as pd


@dataclass(frozen=True)
class Block:
    """Neighbouring batch sizes of a norm with errors of at most 1, far below those beside them.

    `rows` are those of `sizes`, `beside` those of the next larger and smaller batch size.
    `holds_largest` says that the norm's largest batch size is among `sizes`.
    """

    norm: str
    variant: str
    sizes: tuple[int, ...]
    rows: pd.DataFrame
    beside: pd.DataFrame
    holds_largest: bool


def is_far_below(own: pd.DataFrame, others: pd.DataFrame) -> bool:
    """Whether all errors of `own` are at most 1 and seem to be fractions beside those of `others`.

    A hundred times their median is nearer, by ratio, to the others' median than the median itself.
    False where either has no errors, or the median is 0.
    """
    errors, beside = own["test_error"].dropna(), others["test_error"].dropna()
    if errors.empty or beside.empty or errors.max() > 1:
        return False
    return 0 < 10 * float(errors.median()) < float(beside.median())


def suspected_blocks(rows: pd.DataFrame) -> list[Block]:
    """The blocks of every norm and variant in the `rows` of one data set and network."""
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
            if parts and all(is_far_below(block, part) for part in parts):
                found.append(
                    Block(str(norm), str(variant), tuple(sizes), block, beside, place == 0)
                )
    return found
