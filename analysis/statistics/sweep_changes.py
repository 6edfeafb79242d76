"""Changes of test error between two sweeps, such as of two versions of the code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.errors import AnalysisError
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.differences import Difference, compute_difference
from analysis.statistics.inference.family import adjust_holm
from analysis.statistics.inference.intervals import ALPHA, MIN_SEEDS, SeedMean, compute_t_test_p
from analysis.statistics.robustness import compute_auec, tabulate_norm_errors
from analysis.statistics.strata import SEEDING_LABELS


@dataclass(frozen=True)
class Change:
    """A norm's error after minus before, percentage points; AUEC where `batch_size` is None.

    Attributes:
        before, after: means (percent) over the seeds of the difference: those in common where it is
            paired, else each sweep's own.
        difference: after minus before; Welch's where fewer than three seeds are in common.
        is_paired: whether the difference is paired by seed.
        p_adjusted: p adjusted by Holm.
        diverged_before, diverged_after: trials at chance error among those compared.
        drops_seeds: whether the difference is paired and a seed of one sweep alone is left out.
    """

    norm: str
    batch_size: int | None
    before: float
    after: float
    difference: SeedMean
    is_paired: bool
    p_adjusted: float
    diverged_before: int = 0
    diverged_after: int = 0
    drops_seeds: bool = False

    @property
    def is_significant(self) -> bool:
        """Whether the adjusted p is below 5 %."""
        return bool(self.p_adjusted < ALPHA)


@dataclass(frozen=True)
class SweepChanges:
    """The changes of one comparison that exists in both sweeps.

    Attributes:
        label: data set, network and variant.
        changes: the changes, AUEC first.
        unmatched: cells and seeds that only one sweep has, in words.
        mismatch: words on data sets, networks, streams or variants that
            differ; empty where they agree.
        shared_sizes: batch sizes that AUEC is taken over, where those of the sweeps differ.
        family_size: number of declared changes, of all comparisons, adjusted together.
    """

    label: str
    changes: tuple[Change, ...]
    unmatched: tuple[str, ...]
    mismatch: str = ""
    shared_sizes: tuple[int, ...] = ()
    family_size: int = 0


def compute_changes(
    before: Sequence[Comparison], after: Sequence[Comparison]
) -> tuple[SweepChanges, ...]:
    """Return the changes in each comparison that both sweeps have.

    Comparisons are matched by data set, network and variant; where each sweep has a single one,
    these two are compared whatever their labels.

    Raises:
        AnalysisError: the sweeps have no comparison, or no cell, in common.
    """
    if len(before) == len(after) == 1:
        return _adjust_changes([_compare_pair(before[0], after[0])])
    later = {item.label: item for item in after}
    shared = [(item, later[item.label]) for item in before if item.label in later]
    if not shared:
        raise AnalysisError(
            f"the two have no comparison in common: {_list_labels(before)} against "
            f"{_list_labels(after)}"
        )
    return _adjust_changes([_compare_pair(first, second) for first, second in shared])


def _adjust_changes(unadjusted: Sequence[SweepChanges]) -> tuple[SweepChanges, ...]:
    """Return the changes with p adjusted by Holm over all comparisons.

    AUEC is the declared measure and one family; single cells are exploratory and another.
    """
    every = [change for item in unadjusted for change in item.changes]
    declared = np.array([change.batch_size is None for change in every])
    p = np.array([change.p_adjusted for change in every])
    families = (
        adjust_holm(np.where(declared, p, np.nan)),
        adjust_holm(np.where(declared, np.nan, p)),
    )
    adjusted = iter(np.where(declared, *families))
    family = int(np.count_nonzero(~np.isnan(families[0])))
    return tuple(
        replace(
            item,
            changes=tuple(replace(c, p_adjusted=float(next(adjusted))) for c in item.changes),
            family_size=family,
        )
        for item in unadjusted
    )


def _list_labels(comparisons: Sequence[Comparison]) -> str:
    """Return the labels of comparisons for a message."""
    return "; ".join(item.label or "unnamed" for item in comparisons)


def _compare_pair(before: Comparison, after: Comparison) -> SweepChanges:
    """Return the changes of one comparison, p not yet adjusted."""
    own = (before.common_batch_sizes, after.common_batch_sizes)
    sizes = tuple(size for size in own[0] if size in own[1])
    values = [_collect_values(before, sizes), _collect_values(after, sizes)]
    shared = [key for key in values[0] if key in values[1]]
    if not shared:
        raise AnalysisError("the two have no norm at a common batch size with a result")
    is_same_design = before.seeding == after.seeding
    found = [
        _choose_difference(values[1][key], values[0][key], can_pair=is_same_design)
        for key in shared
    ]
    ended = [
        _summarize_sides(key, [side[key] for side in values], (before, after), sizes, paired=paired)
        for key, (_, paired, _) in zip(shared, found, strict=True)
    ]
    return SweepChanges(
        label=after.label,
        changes=tuple(
            Change(
                *(*key, means[0], means[1], mean, paired, p, lost[0], lost[1]),
                drops_seeds=paired and set(values[0][key].index) != set(values[1][key].index),
            )
            for key, (mean, paired, p), (means, lost) in zip(shared, found, ended, strict=True)
        ),
        unmatched=(
            *_describe_unmatched_seeds(
                values, {key for key, (_, paired, _) in zip(shared, found, strict=True) if paired}
            ),
            *_describe_unmatched_cells(values[0], values[1]),
        ),
        mismatch=_describe_mismatch(before, after),
        shared_sizes=() if own[0] == own[1] else sizes,
    )


def _describe_mismatch(before: Comparison, after: Comparison) -> str:
    """Return words on data, network or random streams that differ; empty where none does."""
    first, second = (item.label or "unnamed" for item in (before, after))
    if before.seeding != after.seeding:
        first, second = (
            f"{name} with {SEEDING_LABELS[item.seeding]}"
            for name, item in ((first, before), (second, after))
        )
    return "" if first == second else f"before is {first}, after is {second}"


def _summarize_sides(
    key: tuple[str, int | None],
    values: Sequence[pd.Series[float]],
    comparisons: Sequence[Comparison],
    sizes: Sequence[int],
    *,
    paired: bool,
) -> tuple[list[float], list[int]]:
    """Return the mean of `values` and the number of diverged trials, each for both sweeps.

    With `paired`, only seeds that both sweeps have are counted, if there are any.
    """
    norm, size = key
    common = values[0].index.intersection(values[1].index)
    kept = [side.loc[common] if paired and len(common) else side for side in values]
    lost = [
        sum(
            seed in side.index
            for each in (sizes if size is None else [size])
            if (norm, each) in item.cells
            for seed in item.cells[norm, each].diverged
        )
        for side, item in zip(kept, comparisons, strict=True)
    ]
    return [float(side.mean()) for side in kept], lost


def _collect_values(
    comparison: Comparison, sizes: Sequence[int]
) -> dict[tuple[str, int | None], pd.Series[float]]:
    """Return errors by seed of each cell with a result, and first AUEC over `sizes`."""
    tables = {
        norm: tabulate_norm_errors(comparison.scored, norm, sizes) for norm in comparison.norms
    }
    levels = {norm: compute_auec(table).dropna() for norm, table in tables.items() if len(sizes)}
    return {(norm, None): found for norm, found in levels.items() if len(found)} | {
        (norm, size): values
        for size in comparison.batch_sizes
        for norm, values in comparison.get_errors(size).items()
    }


def _choose_difference(
    after: pd.Series[float], before: pd.Series[float], *, can_pair: bool
) -> tuple[SeedMean, bool, float]:
    """Return the difference, whether it is paired, and its p: paired with three seeds or more.

    Nothing is paired where the random streams of the two depend on different things.
    """
    found: Difference = compute_difference(after, before)
    if not can_pair:
        return found.welch, False, found.welch_p
    if found.paired.num >= MIN_SEEDS or np.isnan(found.welch.half_width):
        return found.paired, True, compute_t_test_p(found.paired)
    return found.welch, False, found.welch_p


def _describe_unmatched_cells(
    before: dict[tuple[str, int | None], pd.Series[float]],
    after: dict[tuple[str, int | None], pd.Series[float]],
) -> tuple[str, ...]:
    """Return the cells that only one sweep has, in words."""
    return tuple(
        f"only {which}: {norm} at batch size {size}"
        for which, ours, other in (("before", before, after), ("after", after, before))
        for norm, size in ours
        if size is not None and (norm, size) not in other
    )


def _describe_unmatched_seeds(
    values: Sequence[dict[tuple[str, int | None], pd.Series[float]]],
    paired_cells: set[tuple[str, int | None]],
) -> tuple[str, ...]:
    """Return the seeds that only one sweep has in cells paired by seed, in words.

    Args:
        values: errors by seed of each cell, of the sweep before and of the one after.
        paired_cells: norm and batch size of the cells whose change is over the seeds in common.
    """
    sizes: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    before, after = values
    for which, ours, other in (("before", before, after), ("after", after, before)):
        for norm, size in ours:
            if size is not None and (norm, size) in paired_cells:
                cell = (norm, size)
                seeds = sorted(set(ours[cell].index) - set(other[cell].index))
                if seeds:
                    sizes.setdefault((which, norm, tuple(map(int, seeds))), []).append(size)
    return tuple(
        f"only {which}: {norm} with seed{'s' if len(seeds) > 1 else ''} "
        f"{', '.join(map(str, seeds))} at batch size{'s' if len(found) > 1 else ''} "
        f"{', '.join(map(str, sorted(found, reverse=True)))}"
        for (which, norm, seeds), found in sizes.items()
    )
