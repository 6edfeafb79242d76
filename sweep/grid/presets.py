"""The small preset: the same cells in minutes on two cores, on other data.

The preset shows that a grid runs and what its report looks like. It says nothing about the
figures that the full grid is after, and everything that comes of it says what was replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.grid.preset_changes import (
    DataChoice,
    DataPart,
    ModelChoice,
    Preset,
    PresetChanges,
    Replacement,
    Value,
)
from sweep.grid.small_preset import shrink_trial
from sweep.grid.trainable_data import require_trainable
from sweep.grid.variant import Variant, format_level
from trainables.data.lookup import dataset_info, full_dataset_info
from trainables.spec import DataSpec, TrialSpec

SMALL_SEEDS = 3


def apply_preset(grid: Grid, preset: Preset) -> Grid:
    """Return the grid unchanged, or a small grid with its own name and experiment.

    The labels of the small trials state their small values: an extra factor over a replaced field
    has the levels that are left, and is dropped if one level is left. Of trials that became equal,
    one is kept.

    Raises:
        RefusedError: the grid trains nothing.
    """
    if preset is Preset.FULL:
        return grid
    require_trainable(grid)
    seeds = list(dict.fromkeys(trial.spec.seed for trial in grid.trials))[:SMALL_SEEDS]
    full = [trial for trial in grid.trials if trial.spec.seed in seeds]
    small = _shrink_trials(grid, full)
    labels = {old.norm: new.norm for old, new in zip(full, small, strict=True)}
    trials = _drop_repeated(small)
    changes = _find_replacements(grid.trials, full, trials)
    return replace(
        grid,
        name=f"{grid.name}-small",
        experiment=f"{grid.experiment}-small",
        reference=labels[grid.reference] if grid.reference else None,
        trials=trials,
        seed_looks=None,  # a few seeds show how the grid runs, and decide nothing
        preset=PresetChanges(Preset.SMALL, replaced=tuple(changes)),
    )


def find_preset_changes(grid: Grid, spec: TrialSpec) -> PresetChanges | None:
    """Return what is not as in the full sweep on all of the data; None where nothing is.

    Args:
        grid: the grid, as `apply_preset` returned it.
        spec: one of its trials.
    """
    if grid.preset is not None:
        return grid.preset
    parts = _find_data_parts(spec.data)
    return PresetChanges(Preset.FULL, data_parts=parts) if parts else None


def _find_data_parts(spec: DataSpec) -> tuple[DataPart, ...]:
    """Return the splits of a data set of which the spec keeps only a part."""
    whole, kept = full_dataset_info(spec), dataset_info(spec)
    parts = (
        DataPart("training", kept.num_train, whole.num_train),
        DataPart("test", kept.num_test, whole.num_test),
    )
    return tuple(part for part in parts if part.num_kept < part.num_whole)


def _shrink_trials(grid: Grid, full: Sequence[GridTrial]) -> list[GridTrial]:
    """Return the small version of each trial, with labels that state its small values."""
    specs = [shrink_trial(trial.spec) for trial in full]
    kept_factors = [
        name
        for name in grid.extra_factors
        if _count_levels(name, specs) > 1
        or _count_levels(name, (trial.spec for trial in full)) == 1
    ]
    return [
        GridTrial(
            spec,
            _relabel_norm(trial, spec),
            Variant.of({name: _field_value(spec, name) for name in kept_factors}),
        )
        for trial, spec in zip(full, specs, strict=True)
    ]


def _relabel_norm(trial: GridTrial, small: TrialSpec) -> str:
    """Return the norm's label with the number of groups that the small norm has."""
    before, after = (spec.norm.options.get("num_groups") for spec in (trial.spec, small))
    return trial.norm.replace(f"num_groups={before}", f"num_groups={after}")


def _drop_repeated(trials: Iterable[GridTrial]) -> tuple[GridTrial, ...]:
    """Return the trials; of those with one spec, and of those with one name, the first."""
    by_id: dict[str, GridTrial] = {}
    for trial in trials:
        by_id.setdefault(trial.trial_id, trial)
    by_name: dict[str, GridTrial] = {}
    for trial in by_id.values():
        by_name.setdefault(trial.name, trial)
    return tuple(by_name.values())


def _count_levels(name: str, specs: Iterable[TrialSpec]) -> int:
    """Return how many different values the field of this dotted name has in the specs."""
    return len({format_level(_field_value(spec, name)) for spec in specs})


def _field_value(spec: TrialSpec, name: str) -> Any:
    """Return the value of the field with this dotted name."""
    return reduce(getattr, name.split("."), spec)


def _find_replacements(
    whole: Sequence[GridTrial], full: Sequence[GridTrial], small: Sequence[GridTrial]
) -> Iterator[Replacement]:
    """Yield what the preset replaced.

    Args:
        whole: the trials of the grid's file.
        full: those of the seeds that are kept.
        small: the trials that are trained in their place.
    """
    pairs = [(trial.spec, shrink_trial(trial.spec)) for trial in full]
    yield from _compare_field("data", pairs, _data_choice)
    yield from _compare_field("model", pairs, lambda s: ModelChoice(s.model.name, s.model.width))
    yield from _compare_field("train.epochs", pairs, lambda s: s.train.epochs)
    yield from _compare_field("train.optimizer.lr", pairs, _learning_rate)
    yield from _compare_field("norm.num_groups", pairs, lambda s: s.norm.options.get("num_groups"))
    dropped = {one.train.watch for one, other in pairs if one.train.watch != other.train.watch}
    if dropped:
        yield Replacement("train.watch", tuple(sorted(map(str, dropped))), None)
    num_whole, num_small = (len({t.spec.seed for t in trials}) for trials in (whole, small))
    if num_whole > num_small:
        yield Replacement("seeds", (num_whole,), num_small)
    if len(small) < len(full):
        yield Replacement("trials", (len(full),), len(small))


def _compare_field(
    field: str, pairs: Sequence[tuple[TrialSpec, TrialSpec]], get: Callable[[TrialSpec], Value]
) -> Iterator[Replacement]:
    """Yield a replacement for each new value of a field, with the old values it replaces."""
    replaced: dict[Value, dict[Value, None]] = {}
    for full, small in pairs:
        if get(full) != get(small):
            replaced.setdefault(get(small), {})[get(full)] = None
    for value, old in replaced.items():
        yield Replacement(field, tuple(old), value)


def _learning_rate(spec: TrialSpec) -> float:
    """Return the learning rate, rounded as messages show it."""
    return float(f"{spec.train.optimizer.lr:g}")


def _data_choice(spec: TrialSpec) -> DataChoice:
    """Return the data set of a trial with the number of images that the trial sees."""
    info = dataset_info(spec.data)
    return DataChoice(spec.data.name, info.num_train, info.num_test, spec.data.augment)
