"""What moved between two sweeps: yesterday's code and today's, or mine and yours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.errors import InputError
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.differences import Difference, difference
from analysis.statistics.inference.family import holm
from analysis.statistics.inference.intervals import ALPHA, MIN_SEEDS, Mean, t_test
from analysis.statistics.robustness import auec, error_table


@dataclass(frozen=True)
class Change:
    """A norm's error after minus before, percentage points; AUEC where `batch_size` is None.

    `paired` says whether seeds were paired; with fewer than three in common the result is
    Welch's. `before` and `after` are means over the seeds of the difference: those in common where
    it is paired, else each sweep's own. `diverged_*` count trials at chance error among them.
    `drops_seeds` says that the change is paired and a seed of only one sweep is not in it.
    """

    norm: str
    batch_size: int | None
    before: float
    after: float
    difference: Mean
    paired: bool
    p_adjusted: float
    diverged_before: int = 0
    diverged_after: int = 0
    drops_seeds: bool = False

    @property
    def moved(self) -> bool:
        """Whether the adjusted p is below 5 %."""
        return bool(self.p_adjusted < ALPHA)


@dataclass(frozen=True)
class Changes:
    """All changes of one comparison that both sweeps have, and what only one of them has.

    `unlike` says in words where the two are not of the same data set, network and variant;
    `shared_sizes` are the batch sizes that AUEC is taken over, where those of the two differ;
    `family` counts the declared changes, of all comparisons, that are adjusted together.
    """

    label: str
    found: tuple[Change, ...]
    only: tuple[str, ...]
    unlike: str = ""
    shared_sizes: tuple[int, ...] = ()
    family: int = 0


def changes(before: Sequence[Comparison], after: Sequence[Comparison]) -> tuple[Changes, ...]:
    """The changes in each comparison; raises `InputError` where two sweeps share none.

    Comparisons are matched by data set, network and variant; where each sweep has a single one,
    these two are compared whatever they are called.
    """
    if len(before) == len(after) == 1:
        return _adjusted([_changes(before[0], after[0])])
    later = {item.label: item for item in after}
    shared = [(item, later[item.label]) for item in before if item.label in later]
    if not shared:
        raise InputError(
            f"the two have no comparison in common: {_labels(before)} against {_labels(after)}"
        )
    return _adjusted([_changes(first, second) for first, second in shared])


def _adjusted(found: Sequence[Changes]) -> tuple[Changes, ...]:
    """The changes with their p adjusted by Holm, together with those of all comparisons.

    AUEC is the declared measure and its own family; single cells are exploratory, and another.
    """
    every = [change for item in found for change in item.found]
    declared = np.array([change.batch_size is None for change in every])
    p = np.array([change.p_adjusted for change in every])
    families = (holm(np.where(declared, p, np.nan)), holm(np.where(declared, np.nan, p)))
    adjusted = iter(np.where(declared, *families))
    family = int(np.count_nonzero(~np.isnan(families[0])))
    return tuple(
        replace(
            item,
            found=tuple(replace(c, p_adjusted=float(next(adjusted))) for c in item.found),
            family=family,
        )
        for item in found
    )


def _labels(found: Sequence[Comparison]) -> str:
    return "; ".join(item.label or "unnamed" for item in found)


def _changes(before: Comparison, after: Comparison) -> Changes:
    """The changes of one comparison, their p not yet adjusted."""
    own = (before.common_batch_sizes, after.common_batch_sizes)
    sizes = tuple(size for size in own[0] if size in own[1])
    values = [_values(before, sizes), _values(after, sizes)]
    shared = [key for key in values[0] if key in values[1]]
    if not shared:
        raise InputError("the two have no norm at a common batch size with a result")
    found = [_difference(values[1][key], values[0][key]) for key in shared]
    ended = [
        _over_its_seeds(key, [side[key] for side in values], (before, after), sizes, paired=paired)
        for key, (_, paired, _) in zip(shared, found, strict=True)
    ]
    return Changes(
        label=after.label,
        found=tuple(
            Change(
                *(*key, means[0], means[1], mean, paired, p, lost[0], lost[1]),
                drops_seeds=paired and set(values[0][key].index) != set(values[1][key].index),
            )
            for key, (mean, paired, p), (means, lost) in zip(shared, found, ended, strict=True)
        ),
        only=(
            *_only_seeds(
                values, {key for key, (_, paired, _) in zip(shared, found, strict=True) if paired}
            ),
            *_only(values[0], values[1]),
        ),
        unlike=""
        if before.label == after.label
        else f"before is {before.label or 'unnamed'}, after is {after.label or 'unnamed'}",
        shared_sizes=() if own[0] == own[1] else sizes,
    )


def _over_its_seeds(
    key: tuple[str, int | None],
    values: Sequence[pd.Series[float]],
    of: Sequence[Comparison],
    sizes: Sequence[int],
    *,
    paired: bool,
) -> tuple[list[float], list[int]]:
    """Means before and after over the seeds of the difference, and how many trials diverged."""
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
        for side, item in zip(kept, of, strict=True)
    ]
    return [float(side.mean()) for side in kept], lost


def _values(
    comparison: Comparison, sizes: Sequence[int]
) -> dict[tuple[str, int | None], pd.Series[float]]:
    """Errors by seed of every cell that has a result, and first AUEC over `sizes`."""
    tables = {norm: error_table(comparison.scored, norm, sizes) for norm in comparison.norms}
    levels = {norm: auec(table).dropna() for norm, table in tables.items() if len(sizes)}
    return {(norm, None): found for norm, found in levels.items() if len(found)} | {
        (norm, size): values
        for size in comparison.batch_sizes
        for norm, values in comparison.errors(size).items()
    }


def _difference(after: pd.Series[float], before: pd.Series[float]) -> tuple[Mean, bool, float]:
    found: Difference = difference(after, before)
    if found.paired.num >= MIN_SEEDS or np.isnan(found.welch.half_width):
        return found.paired, True, t_test(found.paired)
    return found.welch, False, found.welch_p


def _only(
    before: dict[tuple[str, int | None], pd.Series[float]],
    after: dict[tuple[str, int | None], pd.Series[float]],
) -> tuple[str, ...]:
    """Cells that only one of the two has, in words."""
    return tuple(
        f"only {which}: {norm} at batch size {size}"
        for which, ours, other in (("before", before, after), ("after", after, before))
        for norm, size in ours
        if size is not None and (norm, size) not in other
    )


def _only_seeds(
    values: Sequence[dict[tuple[str, int | None], pd.Series[float]]],
    paired: set[tuple[str, int | None]],
) -> tuple[str, ...]:
    """Return the seeds that only one sweep has in cells that are paired by seed, in words.

    Args:
        values: errors by seed of each cell, of the sweep before and of the one after.
        paired: norm and batch size of the cells whose change is over the seeds in common.
    """
    sizes: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    before, after = values
    for which, ours, other in (("before", before, after), ("after", after, before)):
        for norm, size in ours:
            if size is not None and (norm, size) in paired:
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
