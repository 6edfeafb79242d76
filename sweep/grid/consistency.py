"""Contradictions between fields of a trial each of which is right by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sweep.grid.yaml_source import Loc
from trainables.data.catalog import DATASETS
from trainables.data.lookup import dataset_info
from trainables.errors import DataUnavailable
from trainables.models.catalog import MODELS, complete_model_spec
from trainables.spec import DataSpec, ModelSpec, TrainSpec, is_custom


def find_contradictions(sections: Mapping[str, Any]) -> Iterator[tuple[Loc, str]]:
    """Yield each contradiction with its place in the grid.

    Args:
        sections: the specs of `data`, `model` and `train` by these names; None for a section that
            could not be read.
    """
    data, model, train = (sections[name] for name in ("data", "model", "train"))
    if isinstance(data, DataSpec) and (data.name in DATASETS or is_custom(data.name)):
        try:
            dataset_info(data)
        except (ValueError, DataUnavailable) as error:
            yield ("data",), str(error)
    if isinstance(model, ModelSpec) and (model.name in MODELS or is_custom(model.name)):
        try:
            complete_model_spec(model)
        except ValueError as error:
            yield ("model",), str(error)
    if isinstance(train, TrainSpec):
        yield from _find_training_contradictions(train)


def _find_training_contradictions(train: TrainSpec) -> Iterator[tuple[Loc, str]]:
    """Yield contradictions between the learning rate's fields, each with its place."""
    if train.lr_scaling != "none" and train.reference_batch_size is None:
        what = f"'{train.lr_scaling}' is relative to `train.reference_batch_size`; state it"
        yield ("train", "lr_scaling"), what
    schedule, place = train.schedule, ("train", "schedule", "milestones")
    if schedule.milestones and schedule.name != "multistep":
        what = f"belongs to the multistep schedule, but the schedule is '{schedule.name}'"
        yield place, what
    if schedule.name == "multistep" and not schedule.milestones:
        yield place, "the multistep schedule needs them; state them, or name the schedule constant"
    if list(schedule.milestones) != sorted(set(schedule.milestones)):
        yield place, f"expected increasing epochs, found {list(schedule.milestones)}"


def find_uneven_steps(train: TrainSpec, batch_size: int) -> Iterator[tuple[Loc, str]]:
    """Yield an error, with its place, if `optimizer_batch_size` is no multiple of `batch_size`."""
    accumulated = train.optimizer_batch_size
    if accumulated and accumulated % batch_size:
        what = f"expected a multiple of the batch size {batch_size}, found {accumulated}"
        yield ("train", "optimizer_batch_size"), what
