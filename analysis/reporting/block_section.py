"""The report's section on each norm over several data sets and networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.formatting import (
    choose_uncertain_digits,
    format_number,
    format_p,
    format_p_relation,
    format_signed,
)
from analysis.reporting.tables import PageTable, TableCell
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.norms_over_blocks import PROFILE_THRESHOLDS, NormOverBlocks


def tabulate_over_blocks(found: Sequence[NormOverBlocks]) -> pd.DataFrame:
    """Return one row per norm: difference from the reference over blocks, points."""
    rows = []
    for item in found:
        row: dict[str, object] = {
            "norm": item.norm,
            "reference": item.reference,
            "difference": item.effect.value,
            "half_width_95": item.effect.half_width,
            "between_sd": item.effect.between_sd,
            "blocks": item.effect.num_blocks,
            "p": item.effect.p,
            "p_holm": item.p_adjusted,
            "interquartile_mean": item.interquartile_mean,
        }
        names = [f"within_{threshold:g}" for threshold in PROFILE_THRESHOLDS]
        row |= dict(zip(names, item.profile, strict=True)) if item.profile else {}
        rows.append(row)
    return pd.DataFrame.from_records(rows)


def describe_over_blocks(found: Sequence[NormOverBlocks]) -> list[str]:
    """Return a sentence per norm on its difference from the reference over blocks."""
    return [_describe_norm(item) for item in found]


def _describe_norm(item: NormOverBlocks) -> str:
    """Return the sentence on one norm."""
    effect = item.effect
    digits = choose_uncertain_digits(effect.half_width)
    low, high = effect.value - effect.half_width, effect.value + effect.half_width
    interval = (
        f"95 % interval {format_number(low, digits)} to {format_number(high, digits)}, "
        f"Holm-adjusted p {format_p_relation(item.p_adjusted)}"
    )
    where = f"over {effect.num_blocks} pairs of data set and network"
    if item.p_adjusted < ALPHA:
        side = "higher" if effect.value > 0 else "lower"
        return (
            f"{item.norm}'s error is on average {format_number(abs(effect.value), digits)} points "
            f"{side} than {item.reference}'s {where} ({interval})."
        )
    return (
        f"{item.norm} and {item.reference} are not distinguishable {where}: the mean difference "
        f"is {format_signed(effect.value, digits)} points ({interval})."
    )


def build_block_table(found: Sequence[NormOverBlocks]) -> PageTable:
    """Return the page table of differences over blocks."""
    has_middle = any(not np.isnan(item.interquartile_mean) for item in found)
    has_profile = any(item.profile for item in found)
    headings = ["norm", "difference", "between blocks (sd)"]
    headings += ["interquartile mean"] * has_middle
    headings += [f"within {t:g}" for t in PROFILE_THRESHOLDS] * has_profile
    notes = [
        "AUEC minus the reference's, points, a block being a data set with a network, its variants "
        "averaged; after ± half the width of the 95 % interval for a further block (random "
        "effects: Paule and Mandel's variance between blocks, Hartung and Knapp's interval); "
        "below, p adjusted by Holm over the norms, and the number of blocks. Exploratory. Bold: "
        "adjusted p below 0.05."
    ]
    if has_middle:
        notes.append(
            "Interquartile mean: of the middle half of the blocks' differences."
            + has_profile
            * (
                " Within x: share of blocks in which the norm's AUEC lies at most x points above "
                "the block's best (performance profile); a norm without an AUEC in some block "
                "has none."
            )
        )
    rows = tuple((item.norm, _build_cells(item, has_middle, has_profile)) for item in found)
    return PageTable("Differences over data sets and networks", tuple(headings), rows, tuple(notes))


def _build_cells(
    item: NormOverBlocks, has_middle: bool, has_profile: bool
) -> tuple[TableCell, ...]:
    """Return the cells of one norm."""
    effect = item.effect
    digits = choose_uncertain_digits(effect.half_width)
    cells = [
        TableCell(
            format_signed(effect.value, digits),
            format_number(effect.half_width, digits),
            f"p {format_p(item.p_adjusted)}\nn = {effect.num_blocks}",
            best=bool(item.p_adjusted < ALPHA),
        ),
        TableCell(format_number(effect.between_sd, digits)),
    ]
    if has_middle:
        cells.append(TableCell(format_signed(item.interquartile_mean, digits)))
    if has_profile:
        shares = item.profile or (np.nan,) * len(PROFILE_THRESHOLDS)
        cells += [TableCell("–" if np.isnan(s) else f"{100 * s:.0f} %") for s in shares]
    return tuple(cells)
