"""Warnings of cells that train on fewer images, or for fewer steps, than their settings suggest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from trainables.data.lookup import dataset_info
from trainables.spec import DataSpec, TrialSpec

MIN_EQUAL_RATIO = 0.98
"""Epochs whose numbers of images have at least this ratio count as equally long."""

ACCUMULATED = "with optimizer_batch_size"

WITHOUT_BIAS = ("renorm_debias",)
"""Norms whose moving averages are corrected for their start values."""

TRAIN_WITH_AVERAGES = ("batchrenorm", "batchchannelnorm", "mabn")
"""Norms that use their moving averages in training."""


def unequal_training_warnings(grid: Grid) -> list[str]:
    """Return warnings on data sets and norm options that make cells train unequally.

    A line names a data set if cells see different shares of it, and an option that counts steps if
    training is shorter than the warm-up or the averages need.
    """
    return [*_find_unequal_data_shares(grid), *_find_long_step_counts(grid)]


def images_per_epoch(spec: TrialSpec) -> int:
    """Return the training images of an epoch, without an incomplete last optimizer step."""
    size = spec.optimizer_batch_size
    return dataset_info(spec.data).num_train // size * size


def num_batches(spec: TrialSpec) -> int:
    """Return the training batches of the whole trial; a norm computes statistics once for each."""
    return spec.train.epochs * images_per_epoch(spec) // spec.batch_size


def _find_unequal_data_shares(grid: Grid) -> Iterator[str]:
    """Yield a warning for each data set of which cells train on different numbers of images."""
    found: dict[DataSpec, dict[tuple[str, int], int]] = {}
    for trial in grid.trials:
        is_stated = trial.spec.train.optimizer_batch_size is not None
        named = ACCUMULATED if is_stated else "at batch size"
        size = trial.spec.optimizer_batch_size
        found.setdefault(trial.spec.data, {})[named, size] = images_per_epoch(trial.spec)
    for data, images in found.items():
        if min(images.values()) >= MIN_EQUAL_RATIO * max(images.values()):
            continue
        num_train = dataset_info(data).num_train
        common = math.lcm(*(size for _, size in images))
        remedy = (
            f"; `data: {{num_train: {num_train // common * common}}}` gives every cell the same"
            if common <= num_train
            else ""
        )
        accumulates = any(named == ACCUMULATED for named, _ in images)
        dropped = "incomplete optimizer step" if accumulates else "short batch"
        shares = _join_with_and(
            [f"{num:,} {named} {size}" for (named, size), num in images.items()]
        )
        first, name, rest = shares.partition(ACCUMULATED)  # which is named in full once
        shares = f"{first}{name}{rest.replace(ACCUMULATED, 'with')}"
        yield (
            f"{data.name}: of {num_train:,} training images an epoch has {shares}, since a last "
            f"{dropped} is dropped{remedy}"
        )


def _find_long_step_counts(grid: Grid) -> Iterator[str]:
    """Yield a warning for each warm-up that never ends and average that stays near its start."""
    lines: dict[str, dict[str, None]] = {}
    for trial in grid.trials:
        total = num_batches(trial.spec)
        noun = "batch" if total == 1 else "batches"
        where = f"batch size {trial.spec.batch_size} ({total:,} {noun} in all)"
        for text in (
            *_find_endless_warm_ups(trial, total),
            *_find_unsettled_averages(trial, total),
        ):
            lines.setdefault(text, {})[where] = None
    for text, places in lines.items():
        yield text.replace("{places}", _join_with_and(list(places)))


def _find_endless_warm_ups(trial: GridTrial, total: int) -> Iterator[str]:
    """Yield a warning for each count of steps that is not over after `total` batches."""
    options = trial.spec.norm.options
    steps = {k: v for k, v in options.items() if k.endswith("_steps") and _is_positive_int(v)}
    warm_up = int(steps.pop("warmup_steps", 0) or 0)
    if warm_up >= total:
        yield (
            f"{_name_norm(trial)}: warmup_steps={warm_up} counts batches, and the warm-up never "
            f"ends at {{places}}"
        )
        return
    for name, value in steps.items():
        if warm_up + int(value or 0) >= total:
            first = f" after a warm-up of {warm_up}" if warm_up else ""
            yield (
                f"{_name_norm(trial)}: {name}={value} counts batches{first}, and they never end at "
                f"{{places}}"
            )


def _find_unsettled_averages(trial: GridTrial, total: int) -> Iterator[str]:
    """Yield a warning if moving averages stay near their start values in `total` batches."""
    norm = trial.spec.norm
    momentum = norm.options.get("momentum")
    if isinstance(momentum, bool) or not isinstance(momentum, float | int) or ":" in norm.name:
        return  # a user's own layer may mean the reverse by it
    tests = (norm.options.get("eval_statistics", "ema"), *trial.spec.train.eval_statistics)
    is_used = norm.name in TRAIN_WITH_AVERAGES or "ema" in tests
    if is_used and norm.name not in WITHOUT_BIAS and 0 < momentum < 1 and momentum * total < 1:
        yield (
            f"{_name_norm(trial)}: momentum={momentum:g} averages over about {1 / momentum:,.0f} "
            f"batches, so that the averages are still near their start values after training at "
            f"{{places}}"
        )


def _is_positive_int(value: object) -> bool:
    """Return whether a value is a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _name_norm(trial: GridTrial) -> str:
    """Return the label of the trial's norm, with the variant if there is one."""
    return f"{trial.norm} ({trial.variant})" if trial.variant else trial.norm


def _join_with_and(parts: Sequence[str]) -> str:
    """Return the parts as `a, b and c`."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
