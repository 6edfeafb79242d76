"""Names of the fields that factors and overrides may set, by their dotted names."""

from __future__ import annotations

from sweep.grid.validation_messages import dotted_keys
from trainables.spec import DataSpec, ModelSpec, TrainSpec

REQUIRED_FACTORS = ("norm", "batch_size", "seed")
SECTIONS: dict[str, type] = {"data": DataSpec, "model": ModelSpec, "train": TrainSpec}
"""The sections of a grid that are a part of a trial's spec, each with the class of the part."""

CUSTOM_OPTIONS = ("data.options", "model.options")
"""Fields that hold the options of a user's own data set or model. An option is set by its own
dotted name, such as `model.options.depth`."""


def settable_names() -> list[str]:
    """Return the dotted names of the fields that an extra factor or an override may set.

    Options of a user's own data set or model are not listed, since only its code knows them.
    """
    names = [n for section, spec in SECTIONS.items() for n in dotted_keys(spec, f"{section}.")]
    return [name for name in names if name not in CUSTOM_OPTIONS]


def is_settable(name: str) -> bool:
    """Return whether an extra factor or an override may set the field of this dotted name."""
    parent, _, option = name.rpartition(".")
    return name in settable_names() or (parent in CUSTOM_OPTIONS and bool(option))


TRIAL_FIELDS = (*(f"factors.{name}" for name in REQUIRED_FACTORS), *settable_names())
"""Dotted names of the fields that decide what a trial is, for suggestions in messages."""
