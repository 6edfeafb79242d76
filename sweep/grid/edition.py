"""The small edition of a grid: the same cells in minutes on two cores, on other data.

It shows that a grid runs and what its report looks like. It says nothing about the figures that
the full edition is after, and everything that comes of it says "small edition".
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from sweep.grid.expansion import GridTrial
from sweep.grid.layout import Grid
from trainables.spec import Augment, DataSpec, ModelSpec, ScheduleSpec, TrainSpec, TrialSpec

MOST_EPOCHS = 4
MOST_SEEDS = 3
DATA = DataSpec(name="digits", num_train=512, num_test=300)
MODELS = {
    "allcnn": ModelSpec(name="allcnn", width=16),
    "nin": ModelSpec(name="nin", width=24),
}
RESIDUAL = ModelSpec(name="resnet8", width=8)


class Scale(StrEnum):
    """How much of a grid is trained."""

    FULL = "full"
    SMALL = "small"


def scaled(grid: Grid, scale: Scale) -> Grid:
    """The grid, or its small edition under a name and an experiment of its own.

    Norms, batch sizes, overrides and what is recorded stay. Cells that differ in their model
    alone may come out as one trial, which is then trained once.
    """
    if scale is Scale.FULL:
        return grid
    seeds = list(dict.fromkeys(trial.spec.seed for trial in grid.trials))[:MOST_SEEDS]
    small = (_small(trial) for trial in grid.trials if trial.spec.seed in seeds)
    return replace(
        grid,
        name=f"{grid.name}-small",
        experiment=f"{grid.experiment}-small",
        trials=tuple({trial.trial_id: trial for trial in small}.values()),
        edition=scale.value,
    )


def _small(trial: GridTrial) -> GridTrial:
    return replace(trial, spec=small_spec(trial.spec))


def small_spec(spec: TrialSpec) -> TrialSpec:
    """The trial on a few hundred digits, with a narrow network and a few epochs."""
    augment: Augment = "none" if spec.data.augment == "none" else "crop_flip"
    model = MODELS.get(spec.model.name, RESIDUAL)
    if model is not RESIDUAL:
        model = replace(model, dropout=spec.model.dropout, norm_on_logits=spec.model.norm_on_logits)
    return replace(
        spec,
        data=replace(DATA, augment=augment),
        model=model,
        train=_few_epochs(spec.train, keeps_layers=model is not RESIDUAL),
    )


def _few_epochs(train: TrainSpec, *, keeps_layers: bool) -> TrainSpec:
    epochs = min(train.epochs, MOST_EPOCHS)
    return replace(
        train,
        epochs=epochs,
        schedule=_compressed(train.schedule, epochs / train.epochs),
        watch=train.watch if keeps_layers else None,
    )


def _compressed(schedule: ScheduleSpec, share: float) -> ScheduleSpec:
    """The schedule with its milestones at the same share of the epochs, none before the first."""
    milestones = {max(1, round(milestone * share)) for milestone in schedule.milestones}
    return replace(schedule, milestones=tuple(sorted(milestones)))
