"""What differs between the cells of a comparison although the settings look alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.formatting import listed
from analysis.schema import STRATUM_COLUMNS
from analysis.statistics.comparison import Comparison
from analysis.statistics.identical_networks import find_equal_training
from analysis.statistics.strata import parse_levels

OPTIMIZER_BATCH_SIZE = "train.optimizer_batch_size"
NORM_OPTION = "norm."
ALIKE = 0.98
"""Cells whose epochs train on numbers of images in at least this ratio are taken for alike."""


def unequal_cells(found: Sequence[Comparison], settings: pd.DataFrame) -> list[str]:
    """Sentences on images per epoch, and norm options, that depend on the batch size."""
    lines = []
    for comparison in found:
        trials = comparison.trials.set_index("trial_id")
        values = settings.loc[trials.index]
        lines += [
            *_tested_differently(comparison),
            *_images_per_epoch(trials, values),
            *_options_by_size(trials, values),
        ]
    return list(dict.fromkeys([*lines, *_images_by_optimizer_step(found, settings)]))


def _tested_differently(comparison: Comparison) -> Iterator[str]:
    for group in find_equal_training(comparison.trials, comparison.norms):
        yield (
            f"{listed(group)} were trained to the same losses, seed by seed and to the last digit: "
            f"all of the difference between them arises at test time."
        )


def _images(trials: pd.DataFrame, values: pd.DataFrame) -> pd.Series:
    """Images that an epoch of each finished trial trained on: updates an epoch, times their size.

    An update takes a batch, or the examples that the grid or the trial's variant states.
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


def _images_per_epoch(trials: pd.DataFrame, values: pd.DataFrame) -> Iterator[str]:
    """A sentence where images per epoch depend on the batch size within one comparison."""
    images = _images(trials, values)
    sizes = trials.loc[images.index, "batch_size"]
    of_size = images.groupby(sizes).median().sort_index(ascending=False)
    if len(of_size) < 2 or of_size.min() >= ALIKE * of_size.max():
        return
    shares = [f"{int(number):,} images at batch size {size}" for size, number in of_size.items()]
    yield (
        f"An epoch trained on {listed(shares)}, since a last short batch is dropped: a part of the "
        f"difference between batch sizes is one of the amount of data."
    )


def _images_by_optimizer_step(found: Sequence[Comparison], settings: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for sections that differ in optimizer steps and in images per epoch."""
    groups: dict[tuple[str, ...], dict[str, float]] = {}
    for comparison in found:
        trials = comparison.trials.set_index("trial_id")
        *stratum, variant = (str(trials.iloc[0][name]) for name in STRATUM_COLUMNS)
        levels = parse_levels(variant)
        step = levels.pop(OPTIMIZER_BATCH_SIZE, "")
        images = _images(trials, settings.loc[trials.index])
        if step.isdigit() and len(images):
            key = (*stratum, *(f"{name}={level}" for name, level in levels.items()))
            groups.setdefault(key, {})[step] = images.median()
    for of_step in groups.values():
        if min(of_step.values()) >= ALIKE * max(of_step.values()):
            continue
        shares = [
            f"{int(number):,} images with optimizer steps after {step} examples"
            for step, number in of_step.items()
        ]
        yield (
            f"An epoch trained on {listed(shares)}, since a last incomplete optimizer step is "
            f"dropped: a part of the difference between these sections is one of the amount of "
            f"data."
        )


def _options_by_size(trials: pd.DataFrame, values: pd.DataFrame) -> Iterator[str]:
    """Options of one norm that were set for some batch sizes."""
    for name in [str(n) for n in values if str(n).startswith(NORM_OPTION)]:
        for norm, of_norm in trials.groupby("norm"):
            option = values[name].loc[of_norm.index]
            by_size = option.groupby(of_norm["batch_size"]).agg(lambda found: "/".join(set(found)))
            if by_size.nunique() > 1:
                parts = [f"{value} at batch size {size}" for size, value in by_size.items()]
                yield (
                    f"{norm} had {name.removeprefix(NORM_OPTION)} {listed(parts)}, and is "
                    f"compared as one norm."
                )
