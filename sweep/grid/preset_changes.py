"""What a preset changes in the trials of a grid's file, as data and as a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Preset(StrEnum):
    """How much of a grid is trained."""

    FULL = "full"
    SMALL = "small"


@dataclass(frozen=True)
class DataChoice:
    """A data set as trials see it: how many images are kept, and how they are augmented."""

    name: str
    num_train: int
    num_test: int
    augment: str

    def __str__(self) -> str:
        """Return the data set in words: `digits (512 training and 300 test images)`."""
        augment = "" if self.augment == "none" else f", {self.augment}"
        images = f"{self.num_train:,} training and {self.num_test:,} test images"
        return f"{self.name} ({images}{augment})"


@dataclass(frozen=True)
class ModelChoice:
    """A network, and the channels of its first stage where they can be chosen."""

    name: str
    width: int | None

    def __str__(self) -> str:
        """Return the network in words: `resnet8 of width 8`."""
        return self.name if self.width is None else f"{self.name} of width {self.width}"


Value = DataChoice | ModelChoice | int | float | str | None


@dataclass(frozen=True)
class Replacement:
    """A field's value in the trials of a preset, with the values of the full grid.

    Attributes:
        field: `data`, `model`, the dotted name of a field, or `seeds` and `trials` for how many
            of these there are.
        full: the values of the full grid, without repetition.
        small: the value in their place; None for a layer that is not watched.
    """

    field: str
    full: tuple[Value, ...]
    small: Value


@dataclass(frozen=True)
class DataPart:
    """How many of a data set's training or test images the trials see."""

    purpose: str
    num_kept: int
    num_whole: int


@dataclass(frozen=True)
class PresetChanges:
    """The differences between the trained trials and the full sweep on all of the data.

    Attributes:
        preset: the preset that was trained.
        replaced: what the preset replaced.
        data_parts: the limits that the grid's file itself sets to the data.
    """

    preset: Preset
    replaced: tuple[Replacement, ...] = ()
    data_parts: tuple[DataPart, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the changes as plain data, equal to their value after writing and reading JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> PresetChanges:
        """Return the changes that `to_dict` wrote."""
        return PresetChanges(
            Preset(data["preset"]),
            tuple(
                Replacement(
                    item["field"], tuple(map(_read_value, item["full"])), _read_value(item["small"])
                )
                for item in data["replaced"]
            ),
            tuple(DataPart(**item) for item in data["data_parts"]),
        )

    @property
    def title(self) -> str:
        """Title of the changes: `small edition`; empty for the full grid."""
        return "small edition" if self.preset is Preset.SMALL else ""

    @property
    def detail(self) -> str:
        """What was changed, in words: `digits … for cifar10 …, 10 epochs for 350`."""
        if self.preset is Preset.SMALL:
            parts = dict.fromkeys(text for item in self.replaced for text in _describe(item))
            return ", ".join(parts) or "the whole grid, which is small enough"
        return " and ".join(
            f"{part.num_kept:,} of {part.num_whole:,} {part.purpose} images"
            for part in self.data_parts
        )

    def __str__(self) -> str:
        """Return the sentence that records and runs show: title and detail."""
        return f"{self.title}: {self.detail}" if self.title else self.detail


def _describe(item: Replacement) -> Iterator[str]:
    """Yield a replacement in words: `10 epochs for 350`."""
    full, small = " and ".join(map(_format_value, item.full)), _format_value(item.small)
    match item.field:
        case "train.epochs":
            yield f"{small} epochs for {full}"
        case "train.optimizer.lr":
            yield f"learning rate {small} for {full}"
        case "norm.num_groups":
            yield "groups of the norms in proportion to the width"
        case "train.watch":
            yield from (f"no watch of {layer}, which there is not" for layer in item.full)
        case "seeds":
            yield f"{small} seeds for {full}"
        case "trials":
            yield f"{full} trials have become {small} distinct ones"
        case _:
            yield f"{small} for {full}"


def _format_value(value: Value) -> str:
    """Return a value as a sentence shows it, floats in short form."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read_value(plain: Any) -> Value:
    """Return the value of a replacement that JSON holds as `plain`."""
    if isinstance(plain, Mapping):
        return DataChoice(**plain) if "augment" in plain else ModelChoice(**plain)
    value: Value = plain
    return value
