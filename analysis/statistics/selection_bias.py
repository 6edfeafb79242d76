"""Bias of measures that are chosen by the errors that they are computed from.

The maximum of noisy means lies above the largest true mean, and the minimum below the lowest: an
error that is the same at every batch size has a highest mean, and norms that are equal have a
regret. Split regret has no such bias at one batch size and one norm, but its maximum over batch
sizes has, and where half of the seeds choose the wrong norm, regret from it is too low.

Each bias is estimated by a simulation of the fitted sweep (a parametric bootstrap): Gaussian noise
of the spread seen is added to means, and the measure of the simulated sweep is compared with that
of the means. The means are drawn together first by as much as noise has spread them, as noise
would be counted twice otherwise. What all cells of a seed share moves every mean alike and biases
nothing, so it is taken out of the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.statistics.across_blocks import estimate_between_variance
from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE
from analysis.statistics.robustness import (
    compute_regret,
    compute_split_regret,
    compute_worst_case,
    compute_worst_rise,
    list_halves,
)

Floats = npt.NDArray[np.float64]

NUM_SIMULATIONS = 1000
NUM_SPLIT_SIMULATIONS = 300
MAX_SIMULATED_SPLITS = 20
"""Halves of the seeds in each simulated sweep, at most: more change its mean regret little."""
SIMULATION_SEED = 0
MIN_NOISE_SEEDS = 2


@dataclass(frozen=True)
class SelectedEstimate:
    """A measure chosen by the errors that it is computed from, such as a highest mean.

    Attributes: value: the measure as computed, percent or points. bias: how far it is expected to
    lie above the true value (below: negative). standard_error: standard deviation over simulated
    sweeps. num: seeds behind it, at the batch size with the fewest. Bias and standard error are
    missing where the noise is unknown: with fewer than two seeds that have every batch size; the
    bias also where only some seeds of a cell have learnt, so that its errors lie in two heaps.
    """

    value: float
    bias: float
    standard_error: float
    num: int


def estimate_worst_case(errors: pd.DataFrame, *, two_heaps: bool = False) -> SelectedEstimate:
    """Return the highest mean error over batch sizes (percent) with its bias.

    Args:
        errors: one norm's table of errors.
        two_heaps: whether only some seeds of a batch size have learnt; the bias is then missing.
    """

    def compute_highest(means: Floats) -> Floats:
        """Return the highest of each row of means."""
        highest: Floats = means.max(axis=-1)
        return highest

    found = _estimate_over_sizes(errors, compute_worst_case(errors), compute_highest, is_level=True)
    return replace(found, bias=np.nan) if two_heaps else found


def estimate_worst_rise(errors: pd.DataFrame, *, two_heaps: bool = False) -> SelectedEstimate:
    """Return the highest rise over the best larger batch size (points) with its bias.

    Args:
        errors: one norm's table of errors, its columns from the largest batch size on.
        two_heaps: whether only some seeds of a batch size have learnt; the bias is then missing.
    """

    def compute_rise(means: Floats) -> Floats:
        """Return the worst rise of each row of means."""
        rises: Floats = (means - np.minimum.accumulate(means, axis=-1)).max(axis=-1)
        return rises

    found = _estimate_over_sizes(errors, compute_worst_rise(errors), compute_rise, is_level=False)
    return replace(found, bias=np.nan) if two_heaps else found


def _estimate_over_sizes(
    errors: pd.DataFrame, value: float, measure: Callable[[Floats], Floats], *, is_level: bool
) -> SelectedEstimate:
    """Return a measure of one norm's means by batch size, with its bias.

    `is_level` says that the measure moves with what all batch sizes of a seed share; a rise does
    not.
    """
    num = int(errors.notna().sum().min()) if errors.shape[1] else 0
    complete = errors.dropna().to_numpy(float)
    if len(complete) < MIN_NOISE_SEEDS or np.isnan(value):
        return SelectedEstimate(value, np.nan, np.nan, num)
    centred = complete - complete.mean(axis=0)
    shared = np.median(centred, axis=1)
    sd = _estimate_sd(centred - shared[:, None], errors.shape[1])
    means = _draw_together(errors.mean().to_numpy(float), sd / np.sqrt(len(complete)))
    rng = np.random.default_rng(SIMULATION_SEED)
    noise = rng.normal(size=(NUM_SIMULATIONS, len(means))) * sd / np.sqrt(len(complete))
    simulated = measure(means + noise)
    variance = float(simulated.var(ddof=1))
    if is_level:
        variance += float(shared.var(ddof=1)) / len(complete)
    return SelectedEstimate(
        value,
        bias=float(simulated.mean() - measure(means[None])[0]) if len(means) > 1 else 0.0,
        standard_error=float(np.sqrt(variance)),
        num=num,
    )


@dataclass(frozen=True)
class RegretEstimates:
    """One norm's regret over batch sizes, points: mean and maximum, plain and split."""

    mean: SelectedEstimate
    most: SelectedEstimate
    split_mean: SelectedEstimate
    split_most: SelectedEstimate


def estimate_regrets(
    tables: Mapping[str, pd.DataFrame],
    rng: np.random.Generator,
    two_heaps: Collection[tuple[str, int]] = (),
) -> dict[str, RegretEstimates]:
    """Return each norm's regret with its bias.

    Args:
        tables: errors by norm, all with the same columns.
        rng: draws the halves of seeds where there are too many for all.
        two_heaps: norm and batch size of cells of which only some seeds have learnt. Their spread
            is not that of a normal distribution, which would make them the best now and then: they
            are simulated without noise, and the bias of their norms is unknown.
    """
    values = {"plain": compute_regret(tables), "split": compute_split_regret(tables, rng)}
    complete = sorted(set.intersection(*(set(table.dropna().index) for table in tables.values())))
    found = {kind: _summarize_rows(table.to_numpy(float)) for kind, table in values.items()}
    num_by_norm = [int(t.notna().sum().min()) if t.shape[1] else 0 for t in tables.values()]
    nums = {"plain": num_by_norm, "split": [len(complete)] * len(tables)}
    blank = np.full((2, len(tables)), np.nan)
    bias, errors = {"plain": blank, "split": blank}, {"plain": blank, "split": blank}
    if len(complete) >= MIN_NOISE_SEEDS and len(next(iter(tables.values())).columns):
        stacked = np.stack([tables[norm].loc[complete].to_numpy(float) for norm in tables])
        sizes = [int(size) for size in next(iter(tables.values())).columns]
        heaped = np.array([[(norm, size) in two_heaps for size in sizes] for norm in tables])
        bias, errors = _simulate_regrets(stacked, heaped)

    def estimate(kind: str, row: int, place: int) -> SelectedEstimate:
        """Return the mean (row 0) or the maximum (row 1) of the norm at `place`."""
        return SelectedEstimate(
            float(found[kind][row, place]),
            float(bias[kind][row, place]),
            float(errors[kind][row, place]),
            nums[kind][place],
        )

    return {
        norm: RegretEstimates(
            estimate("plain", 0, place),
            estimate("plain", 1, place),
            estimate("split", 0, place),
            estimate("split", 1, place),
        )
        for place, norm in enumerate(tables)
    }


def _simulate_regrets(
    errors: Floats, heaped: npt.NDArray[np.bool_]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return bias and standard error of plain and split regret, each by (mean, maximum) and norm.

    Args:
        errors: percent; shape (norms, seeds, batch sizes), without missing values.
        heaped: which cells are simulated without noise; shape (norms, batch sizes).
    """
    num_norms, num_seeds, num_sizes = errors.shape
    means = errors.mean(axis=1)
    centred = errors - means[:, None]
    residuals = centred - np.median(centred, axis=0)
    sd = np.stack([_estimate_sd(part, num_norms) for part in residuals])
    sd[heaped] = 0.0
    true = means.copy()
    for size in range(num_sizes):
        kept = ~heaped[:, size]
        true[kept, size] = _draw_together(means[kept, size], sd[kept, size] / np.sqrt(num_seeds))
    true_regret = _summarize_rows(true - true.min(axis=0))
    rng = np.random.default_rng(SIMULATION_SEED)
    shape = (NUM_SPLIT_SIMULATIONS, num_norms, num_seeds, num_sizes)
    simulated = true[None, :, None] + rng.normal(size=shape) * sd[None, :, None]
    seed_means = simulated.mean(axis=2)
    plain = seed_means - seed_means.min(axis=1, keepdims=True)
    splits = list_halves(num_seeds, rng, MAX_SIMULATED_SPLITS)
    split = np.zeros_like(plain)
    for chosen in splits:
        rest = np.delete(simulated, chosen, axis=2).mean(axis=2)
        best = simulated[:, :, chosen].mean(axis=2).argmin(axis=1)
        split += rest - np.take_along_axis(rest, best[:, None], axis=1)
    split /= len(splits)
    summaries = {"plain": _summarize_rows(plain), "split": _summarize_rows(split)}
    unknown = np.where(heaped.any(axis=1), np.nan, 0.0)
    return (
        {kind: found.mean(axis=1) - true_regret + unknown for kind, found in summaries.items()},
        {kind: found.std(axis=1, ddof=1) + unknown for kind, found in summaries.items()},
    )


def _summarize_rows(regrets: Floats) -> Floats:
    """Return mean and maximum over the last axis, stacked first; missing without batch sizes."""
    if not regrets.shape[-1]:
        return np.full((2, *regrets.shape[:-1]), np.nan)
    return np.stack([regrets.mean(axis=-1), regrets.max(axis=-1)])


def _estimate_sd(residuals: Floats, num_cells: int) -> Floats:
    """Return the standard deviation by column, from residuals to the median of `num_cells` cells.

    Each residual lacks about 1 / `num_cells` of its variance, which went into the median (a mean
    would carry the noise of the noisiest cell into all others). With few seeds a standard
    deviation is too low on average; the usual correction for a normal sample is made.
    """
    num = len(residuals)
    residuals = residuals - residuals.mean(axis=0)
    variances = (residuals**2).sum(axis=0) / (num - 1) * num_cells / max(num_cells - 1, 1)
    sd: Floats = np.sqrt(variances) * (1 + 1 / (4 * (num - 1)))
    return sd


def _draw_together(means: Floats, standard_errors: Floats) -> Floats:
    """Return means drawn to their average, each by the share that noise has in its spread."""
    if len(means) < 2:
        return means
    variances = np.maximum(standard_errors**2, ROUNDING_TOLERANCE)
    between = estimate_between_variance(means, variances)
    weights = 1 / (variances + between)
    centre = weights @ means / weights.sum()
    drawn: Floats = centre + between * weights * (means - centre)
    return drawn
