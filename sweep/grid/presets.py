"""The small edition of a grid: the same cells in minutes on two cores, on other data.

It shows that a grid runs and what its report looks like. It says nothing about the figures that
the full edition is after, and everything that comes of it says what was replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from functools import reduce
from typing import Any

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.grid.rules import format_level
from sweep.grid.small_preset import small_spec
from sweep.grid.trainable_data import require_trainable
from trainables.data.lookup import dataset_info, whole_info
from trainables.spec import DataSpec, ModelSpec, TrialSpec

SMALL_SEEDS = 3


class Preset(StrEnum):
    """How much of a grid is trained."""

    FULL = "full"
    SMALL = "small"


def apply_preset(grid: Grid, scale: Preset) -> Grid:
    """The grid, or its small edition under a name and an experiment of its own.

    Labels say what is trained: a further factor over something that was replaced shows the
    levels that are left, or goes where one is left. Trials that have become the same are one.

    Raises `RefusedError` for a grid that trains nothing.
    """
    if scale is Preset.FULL:
        return grid
    require_trainable(grid)
    seeds = list(dict.fromkeys(trial.spec.seed for trial in grid.trials))[:SMALL_SEEDS]
    full = [trial for trial in grid.trials if trial.spec.seed in seeds]
    small = _labelled(grid, full)
    same = {old.norm: new.norm for old, new in zip(full, small, strict=True)}
    trials = _distinct(small)
    return replace(
        grid,
        name=f"{grid.name}-small",
        experiment=f"{grid.experiment}-small",
        reference=same[grid.reference] if grid.reference else None,
        trials=trials,
        edition=_sentence(grid.trials, full, trials),
    )


def preset_of(grid: Grid, spec: TrialSpec) -> str | None:
    """What a trial's record says of its edition: what was replaced, or of how much data it saw."""
    return grid.edition or _part_of_the_data(spec.data)


def _labelled(grid: Grid, full: list[GridTrial]) -> list[GridTrial]:
    """Each trial made small, under the labels of what it has become."""
    specs = [small_spec(trial.spec) for trial in full]
    shown = [
        name
        for name in grid.further
        if _num_levels(name, specs) > 1 or _num_levels(name, (trial.spec for trial in full)) == 1
    ]
    return [
        GridTrial(
            spec,
            _norm_label(trial, spec),
            ", ".join(f"{name}={format_level(_value(spec, name))}" for name in shown),
        )
        for trial, spec in zip(full, specs, strict=True)
    ]


def _norm_label(trial: GridTrial, small: TrialSpec) -> str:
    before, after = (spec.norm.options.get("num_groups") for spec in (trial.spec, small))
    return trial.norm.replace(f"num_groups={before}", f"num_groups={after}")


def _distinct(trials: Iterable[GridTrial]) -> tuple[GridTrial, ...]:
    """The trials, of those with one spec or one name the first."""
    by_id: dict[str, GridTrial] = {}
    for trial in trials:
        by_id.setdefault(trial.trial_id, trial)
    by_name: dict[str, GridTrial] = {}
    for trial in by_id.values():
        by_name.setdefault(trial.name, trial)
    return tuple(by_name.values())


def _num_levels(name: str, specs: Iterable[TrialSpec]) -> int:
    return len({format_level(_value(spec, name)) for spec in specs})


def _value(spec: TrialSpec, name: str) -> Any:
    """The value of the field with this dotted name."""
    return reduce(getattr, name.split("."), spec)


def _sentence(
    whole: tuple[GridTrial, ...], full: list[GridTrial], trials: tuple[GridTrial, ...]
) -> str:
    """`small edition: digits … for cifar10, resnet8 … for resnet101, 10 epochs for 350, …`."""
    pairs = [(trial.spec, small_spec(trial.spec)) for trial in full]
    parts = [
        *_replaced(pairs, lambda spec: _data(spec.data)),
        *_replaced(pairs, lambda spec: _model(spec.model)),
        *_replaced(pairs, lambda spec: str(spec.train.epochs), "{} epochs"),
        *_replaced(pairs, lambda spec: f"{spec.train.optimizer.lr:g}", "learning rate {}"),
    ]
    if any(one.norm != other.norm for one, other in pairs):
        parts.append("groups of the norms in proportion to the width")
    dropped = {one.train.watch for one, other in pairs if one.train.watch != other.train.watch}
    parts += [f"no watch of {layer}, which there is not" for layer in sorted(map(str, dropped))]
    num_seeds = [len({trial.spec.seed for trial in some}) for some in (whole, trials)]
    if num_seeds[0] > num_seeds[1]:
        parts.append(f"{num_seeds[1]} seeds for {num_seeds[0]}")
    if len(trials) < len(full):
        parts.append(f"{len(full)} trials have become {len(trials)} distinct ones")
    return f"small edition: {', '.join(parts) or 'the whole grid, which is small enough'}"


def _replaced(
    pairs: list[tuple[TrialSpec, TrialSpec]], describe: Callable[[TrialSpec], str], text: str = "{}"
) -> Iterator[str]:
    """`10 epochs for 350`: each new value with all the old ones that it stands for."""
    found: dict[str, list[str]] = {}
    for full, small in pairs:
        old, new = describe(full), describe(small)
        if old != new and old not in found.setdefault(new, []):
            found[new].append(old)
    for new, olds in found.items():
        if olds:
            yield f"{text.format(new)} for {' and '.join(olds)}"


def _data(spec: DataSpec) -> str:
    info = dataset_info(spec)
    augment = "" if spec.augment == "none" else f", {spec.augment}"
    return f"{spec.name} ({info.num_train:,} training and {info.num_test:,} test images{augment})"


def _model(spec: ModelSpec) -> str:
    return spec.name if spec.width is None else f"{spec.name} of width {spec.width}"


def _part_of_the_data(spec: DataSpec) -> str | None:
    """`2,000 of 60,000 training images`; None for all of the data."""
    whole, kept = whole_info(spec), dataset_info(spec)
    limits = (
        ("training", kept.num_train, whole.num_train),
        ("test", kept.num_test, whole.num_test),
    )
    parts = [f"{kept:,} of {all_:,} {what} images" for what, kept, all_ in limits if kept < all_]
    return " and ".join(parts) or None
