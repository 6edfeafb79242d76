"""Robustness measures over one norm's errors by batch size.

Every measure is computed per seed and then summarised over seeds. `errors` is one norm's table from
`tabulate_norm_errors`: one row per seed, one column per batch size, large to small, percent. `L =
log2(b_max / b)` counts the halvings of the batch size. A seed that lacks a batch size that a
measure needs gets a missing value, never a measure over fewer batch sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.statistics.inference.intervals import compute_upper_bound


def tabulate_norm_errors(
    scored: pd.DataFrame, norm: str, batch_sizes: Sequence[int]
) -> pd.DataFrame:
    """Return errors (percent) of `norm`: rows are seeds, columns `batch_sizes` as given; NaN if
    absent.
    """
    rows = scored[(scored["norm"] == norm) & scored["batch_size"].isin(batch_sizes)]
    table = rows.pivot(index="seed", columns="batch_size", values="error")
    return table.reindex(columns=list(batch_sizes)).astype(float)


def count_halvings(batch_sizes: Sequence[int] | pd.Index[Any]) -> npt.NDArray[np.float64]:
    """Return `L = log2(b_max / b)` of each batch size."""
    sizes = np.asarray(batch_sizes, dtype=float)
    result: npt.NDArray[np.float64] = np.log2(sizes.max() / sizes)
    return result


def compute_auec(errors: pd.DataFrame) -> pd.Series[float]:
    """Return the area under error against L by trapezoids, divided by the range of L: percent, per
    seed.

    A mean error over batch sizes on the log axis. Missing where a seed lacks a batch size; for a
    single batch size its error.

    >>> compute_auec(pd.DataFrame([[6.0, 8.0, 12.0]], columns=[8, 4, 2])).tolist()
    [8.5]
    """
    steps = count_halvings(errors.columns)
    if len(steps) == 1:
        return errors.iloc[:, 0]
    area = np.trapezoid(errors.to_numpy(), steps, axis=1) / np.ptp(steps)
    return pd.Series(area, index=errors.index)


def compute_degradation(errors: pd.DataFrame) -> pd.DataFrame:
    """Return `D(b) = e(b) - e(b_max)`, percentage points, per seed and batch size.

    >>> compute_degradation(pd.DataFrame([[6.0, 8.0]], columns=[8, 2])).values.tolist()
    [[0.0, 2.0]]
    """
    return errors.sub(errors.iloc[:, 0], axis=0)


def compute_relative_degradation(errors: pd.DataFrame) -> pd.DataFrame:
    """Return `ln(e(b) / e(b_max))` per seed and batch size; missing where an error is 0."""
    logs = pd.DataFrame(
        np.log(errors.where(errors > 0).to_numpy(float)), errors.index, errors.columns
    )
    return compute_degradation(logs)


def compute_worst_case(errors: pd.DataFrame) -> float:
    """Return `max_b mean_s e`: the mean error at the batch size where it is highest, percent.

    Not the mean over seeds of each seed's maximum, which noise alone would raise. Missing where a
    batch size has no result: it may be the worst.
    """
    return float(errors.mean().max(skipna=False))


def compute_slope(errors: pd.DataFrame) -> pd.Series[float]:
    """Return the least-squares slope of error on L: points per halving of the batch, per seed.

    >>> compute_slope(pd.DataFrame([[6.0, 7.0, 8.0]], columns=[8, 4, 2])).tolist()
    [1.0]
    """
    centred = count_halvings(errors.columns) - count_halvings(errors.columns).mean()
    scale = (centred**2).sum()
    if scale == 0:
        return pd.Series(np.nan, index=errors.index)
    return pd.Series(errors.to_numpy() @ centred / scale, index=errors.index)


def compute_last_octave_slope(errors: pd.DataFrame) -> pd.Series[float]:
    """Return the slope between the two smallest batch sizes: points per halving, per seed."""
    if errors.shape[1] < 2:
        return pd.Series(np.nan, index=errors.index)
    steps = count_halvings(errors.columns)
    rise = errors.iloc[:, -1].to_numpy(float) - errors.iloc[:, -2].to_numpy(float)
    return pd.Series(rise / (steps[-1] - steps[-2]), index=errors.index)


def compute_worst_rise(errors: pd.DataFrame) -> float:
    """Return `max_b (mean_s e(b) - min_b'>=b mean_s e(b'))`: points; 0 where the error never rises.

    The most that a smaller batch costs over the best of the larger ones. Unlike a slope it includes
    the rise of an error that falls first. Missing where a batch size has no result.

    >>> compute_worst_rise(pd.DataFrame([[36.0, 29.0, 27.0, 35.0]], columns=[64, 16, 4, 2]))
    8.0
    """
    means = errors.mean()
    return float((means - means.cummin()).max()) if means.notna().all() else np.nan


def compute_safe_range(errors: pd.DataFrame, margin: float, usable: Sequence[bool] = ()) -> float:
    """Return the octaves by which the batch can shrink from `b_max` at a cost of at most `margin`.

    The longest run of batch sizes from `b_max` on at which the error's rise over that of every
    larger batch size has a one-sided 95 % upper bound of at most `margin` (each of these bounds has
    to hold, so that no adjustment is needed); missing where the run ends at a batch size without a
    bound, so that it may be longer.

    Args:
        errors: one norm's table of errors.
        margin: points.
        usable: by batch size whether the norm is better than chance there; the run ends before one
            that is not, and is missing where `b_max` is not.
    """
    sizes = [int(size) for size in errors.columns]
    usable = usable or [True] * len(sizes)
    if len(sizes) < 2 or not usable[0]:
        return np.nan
    for place in range(1, len(sizes)):
        rises = (errors[sizes[place]] - errors[larger] for larger in sizes[:place])
        bounds = np.array([compute_upper_bound(rise.to_numpy(float)) for rise in rises])
        if not usable[place] or (bounds > margin).any():
            return float(count_halvings(sizes)[place - 1])
        if np.isnan(bounds).any():
            return np.nan
    return float(count_halvings(sizes)[-1])


def compute_regret(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return `mean e_m(b) - min_m' mean e_m'(b)`: points, rows norms, columns batch sizes.

    A plug-in estimate: the lowest of noisy means lies below the lowest true mean, so regrets are
    biased upward. `compute_split_regret` does not have this bias, but needs two seeds.
    """
    means = pd.DataFrame({norm: table.mean() for norm, table in tables.items()}).T
    return means - means.min()


def compute_split_regret(
    tables: Mapping[str, pd.DataFrame], rng: np.random.Generator, max_splits: int = 300
) -> pd.DataFrame:
    """Return regret with the best norm chosen on half the seeds and every norm scored on the rest.

    Averaged over all halves, or over `max_splits` drawn ones where there are more. Only seeds that
    every norm has at every batch size are used; missing where there are fewer than two.
    """
    norms = list(tables)
    complete = [set(table.dropna().index) for table in tables.values()]
    seeds = sorted(set.intersection(*complete))
    columns = tables[norms[0]].columns
    if len(seeds) < 2:
        return pd.DataFrame(np.nan, index=norms, columns=columns)
    errors = np.stack([tables[norm].loc[seeds].to_numpy(float) for norm in norms])
    splits = list_halves(len(seeds), rng, max_splits)
    total = np.zeros(errors.shape[::2])
    for chosen in splits:
        rest = np.delete(errors, chosen, axis=1).mean(axis=1)
        best = errors[:, chosen].mean(axis=1).argmin(axis=0)
        total += rest - rest[best, np.arange(len(columns))]
    return pd.DataFrame(total / len(splits), index=norms, columns=columns)


def list_halves(num: int, rng: np.random.Generator, max_splits: int) -> list[list[int]]:
    """Return the halves of `num` seeds as indices: all of them, or `max_splits` drawn by `rng`."""
    half = num // 2
    if comb(num, half) <= max_splits:
        return [list(chosen) for chosen in combinations(range(num), half)]
    return [sorted(rng.permutation(num)[:half].tolist()) for _ in range(max_splits)]
