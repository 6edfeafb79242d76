"""Statistics or SGD: which of the two small batches harm through, in words and as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.formatting import counted, listed, number, signed
from analysis.reporting.tables import Shown, Table, margin
from analysis.statistics.inference.intervals import SeedMean
from analysis.statistics.statistics_or_sgd import SeparatedHarm, SeparatedRise

MANY = 6
"""Norms beyond which the table alone tells."""


def unconfounded_frame(found: Sequence[SeparatedHarm]) -> pd.DataFrame:
    """One row per norm: its rise in error and the two parts of it, points."""
    return pd.DataFrame.from_records(
        [
            {
                "comparison": item.label,
                "norm": rise.norm,
                "largest": rise.largest,
                "smallest": rise.smallest,
                "num_examples": rise.num_examples,
                "seeds": rise.sgd.num,
                **{
                    f"{part}{end}": value
                    for part in ("total", "statistics", "sgd")
                    for end, value in _ends(getattr(rise, part)).items()
                },
            }
            for item in found
            for rise in item.rises
        ]
    )


def _ends(mean: SeedMean) -> dict[str, float]:
    return {"": mean.value, "_half_width_95": mean.half_width}


def in_words(item: SeparatedHarm) -> list[str]:
    """What was done, a sentence for each norm, and which of them diverged."""
    lines = [
        "Each cell was trained twice: in one half the optimizer steps after each batch, in the "
        f"other after {item.rises[0].num_examples} examples, however few share statistics."
    ]
    if len(item.rises) <= MANY:
        lines += [_sentence(rise) for rise in item.rises]
    if item.diverged:
        lines.append(
            f"Some trials of {listed(item.diverged)} diverged and count at the error of guessing."
        )
    return lines


def _sentence(rise: SeparatedRise) -> str:
    where = f"from batch size {rise.largest} to {rise.smallest}"
    change = "rise" if rise.total.value > 0 else "change"
    if rise.at_chance:
        return (
            f"{rise.norm}: every trial at batch size {rise.smallest} diverged in both halves, so "
            f"nothing of the {change} of {_points(rise.total)} points {where} can be credited to "
            "statistics or to SGD."
        )
    if np.isnan(rise.sgd.half_width):
        return (
            f"{rise.norm}: the {change} of {_points(rise.total)} points {where} is one of "
            f"{_points(rise.statistics)} with statistics alone, which leaves {_points(rise.sgd)} "
            f"for small-batch SGD ({counted(rise.sgd.num, 'seed')} in both halves, no interval)."
        )
    return (
        f"{rise.norm}: of the {change} of {_points(rise.total)} points {where}, "
        f"{_points(rise.statistics)} come from small-batch statistics{_undecided(rise.statistics)},"
        f" and the rest, {_points(rise.sgd)}, from small-batch SGD{_undecided(rise.sgd)}."
    )


def _points(mean: SeedMean) -> str:
    half = "" if np.isnan(mean.half_width) else f" ± {number(mean.half_width)}"
    return f"{number(mean.value)}{half}"


def _undecided(mean: SeedMean) -> str:
    if np.isnan(mean.half_width):
        return ", without an interval"
    return ", not distinguishable from none" if mean.low <= 0 <= mean.high else ""


def unconfounded_table(item: SeparatedHarm) -> Table:
    """Rows of norms: the whole rise, and what of it is the statistics' and what is SGD's."""
    examples = item.rises[0].num_examples
    return Table(
        "Rise of error with a small batch: statistics or SGD",
        ("norm", "batch sizes", "whole rise", "through statistics", "through SGD"),
        tuple((rise.norm, _row(rise)) for rise in item.rises),
        (
            "Points; after ± half a 95 % t interval over seeds. Whole: the optimizer steps after "
            f"each batch. Through statistics: it steps after {examples} examples however few share "
            "statistics. Through SGD: the first minus the second, paired by seed. Exploratory, "
            "unadjusted; the two are taken to add up. Unknown (–) where every trial at the "
            "smallest batch size diverged in both halves.",
        ),
    )


def _row(rise: SeparatedRise) -> tuple[Shown, ...]:
    parts = (rise.total, rise.statistics, rise.sgd)
    return (
        Shown(f"{rise.largest} to {rise.smallest}"),
        *(Shown(signed(mean.value), margin(mean), f"n = {mean.num}") for mean in parts),
    )
