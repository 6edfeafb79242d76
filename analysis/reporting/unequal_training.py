"""Sentences on training that differs between cells although the settings are equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.formatting import join_words
from analysis.schema import STRATUM_COLUMNS
from analysis.statistics.comparison import Comparison
from analysis.statistics.identical_networks import find_equal_training
from analysis.statistics.strata import parse_levels

OPTIMIZER_BATCH_SIZE = "train.optimizer_batch_size"
NORM_OPTION = "norm."
MIN_EQUAL_RATIO = 0.98
"""Ratio of images per epoch from which on two cells count as equally trained."""


def describe_unequal_training(
    comparisons: Sequence[Comparison], settings: pd.DataFrame
) -> list[str]:
    """Return sentences on images per epoch, and norm options, that depend on the batch size."""
    lines = []
    for comparison in comparisons:
        trials = comparison.trials.set_index("trial_id")
        values = settings.loc[trials.index]
        lines += [
            *_describe_equal_training(comparison),
            *_describe_unequal_images(trials, values),
            *_describe_options_by_size(trials, values),
        ]
    return list(dict.fromkeys([*lines, *_describe_images_by_step(comparisons, settings)]))


def _describe_equal_training(comparison: Comparison) -> Iterator[str]:
    """Yield a sentence per group of norms with equal training losses, but unequal test errors.

    The groups are those of `find_equal_training`.
    """
    for group in find_equal_training(comparison.trials, comparison.norms):
        yield (
            f"{join_words(group)} were trained to the same losses, seed by seed and to the "
            "last digit: "
            f"all of the difference between them arises at test time."
        )


def _count_images(trials: pd.DataFrame, values: pd.DataFrame) -> pd.Series:
    """Return the images that an epoch of each finished trial trained on.

    Updates per epoch times the examples of an update: a batch, or what the grid or variant states.
    """
    finished = trials[(trials["num_epochs"] > 0) & trials["num_updates"].notna()]
    sizes = finished["batch_size"].astype(float)
    levels = finished["variant"].map(
        lambda variant: parse_levels(variant).get(OPTIMIZER_BATCH_SIZE)
    )
    stated = pd.to_numeric(levels, errors="coerce")
    if OPTIMIZER_BATCH_SIZE in values:
        of_grid = pd.to_numeric(values.loc[finished.index, OPTIMIZER_BATCH_SIZE], errors="coerce")
        stated = stated.fillna(of_grid)
    sizes = stated.astype(float).fillna(sizes)
    return (finished["num_updates"] / finished["num_epochs"] * sizes).round()


def _describe_unequal_images(trials: pd.DataFrame, values: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence where images per epoch depend on the batch size within one comparison."""
    images = _count_images(trials, values)
    sizes = trials.loc[images.index, "batch_size"]
    of_size = images.groupby(sizes).median().sort_index(ascending=False)
    if len(of_size) < 2 or of_size.min() >= MIN_EQUAL_RATIO * of_size.max():
        return
    shares = [f"{int(number):,} images at batch size {size}" for size, number in of_size.items()]
    yield (
        f"An epoch trained on {join_words(shares)}, since a last short batch is dropped: a "
        "part of the "
        f"difference between batch sizes is one of the amount of data."
    )


def _describe_images_by_step(
    comparisons: Sequence[Comparison], settings: pd.DataFrame
) -> Iterator[str]:
    """Yield a sentence for sections that differ in optimizer steps and in images per epoch."""
    groups: dict[tuple[str, ...], dict[str, float]] = {}
    for comparison in comparisons:
        trials = comparison.trials.set_index("trial_id")
        *stratum, variant = (str(trials.iloc[0][name]) for name in STRATUM_COLUMNS)
        levels = parse_levels(variant)
        step = levels.pop(OPTIMIZER_BATCH_SIZE, "")
        images = _count_images(trials, settings.loc[trials.index])
        if step.isdigit() and len(images):
            key = (*stratum, *(f"{name}={level}" for name, level in levels.items()))
            groups.setdefault(key, {})[step] = images.median()
    for of_step in groups.values():
        if min(of_step.values()) >= MIN_EQUAL_RATIO * max(of_step.values()):
            continue
        shares = [
            f"{int(number):,} images with optimizer steps after {step} examples"
            for step, number in of_step.items()
        ]
        yield (
            f"An epoch trained on {join_words(shares)}, since a last incomplete optimizer step is "
            f"dropped: a part of the difference between these sections is one of the amount of "
            f"data."
        )


def _describe_options_by_size(trials: pd.DataFrame, values: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence per norm option that was set for some batch sizes only."""
    for name in [str(n) for n in values if str(n).startswith(NORM_OPTION)]:
        for norm, of_norm in trials.groupby("norm"):
            option = values[name].loc[of_norm.index]
            by_size = option.groupby(of_norm["batch_size"]).agg(lambda found: "/".join(set(found)))
            if by_size.nunique() > 1:
                parts = [f"{value} at batch size {size}" for size, value in by_size.items()]
                yield (
                    f"{norm} had {name.removeprefix(NORM_OPTION)} {join_words(parts)}, and is "
                    f"compared as one norm."
                )
