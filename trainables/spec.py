"""What a trial is, and what it yields: frozen, complete, hashable by content.

A `TrialSpec` holds everything that decides a trial's result and nothing else: no path, no
resource, no tracking. Two specs are the same trial exactly if their `trial_id` is the same.

The fields of the specs are described here and nowhere else: pydantic checks their types and
bounds where a spec is made, and the grid's JSON schema, the reference `docs/grid.md` and the
attributes in the classes' docstrings are derived from them.
This module imports neither torch nor numpy, so that a grid can be read in an instant.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from trainables.options import Options, OptionValue
from trainables.spec_class import ADDED_LATER, Count, Seed, Seeding, Share, Spec, spec_class

SPEC_VERSION = 1
"""Part of every trial's identity; raised when the same spec would train differently."""

Augment = Literal["none", "crop_flip", "crop24_flip"]
EvalStatistics = Literal["ema", "precise", "batch"]
InitialWeights = Literal["own", "replaced"]
MAX_EPOCHS = 1_000_000
"""More epochs are a slip of the pen, and the learning rates of all epochs would fill the memory."""


def is_custom(name: str) -> bool:
    """Return whether a norm, data set or model is a user's own, named `package.module:attr`."""
    return ":" in name


class Outcome(StrEnum):
    """How a trial ended. Only `FAILED` and `OUT_OF_MEMORY` are errors."""

    COMPLETED = "completed"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    FAILED = "failed"


@spec_class
class NormSpec(Spec):
    """A norm with all its options."""

    name: Annotated[str, Field(description="Registered name, or `package.module:attr`.")]
    options: Annotated[
        Mapping[str, OptionValue], Field(description="Value of each option by its name.")
    ] = Options()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", Options(self.options))


@spec_class
class DataSpec(Spec):
    """A data set, or a part of one, and how its training images are augmented."""

    name: Annotated[
        str,
        Field(
            description="`digits`, `fashion_mnist`, `cifar10`, `cifar100`, or `module:attribute` "
            "of your own."
        ),
    ]
    augment: Annotated[
        Augment,
        Field(
            description="`crop_flip` crops from an eighth of padding and mirrors; `crop24_flip` "
            "crops 24x24 pixels and tests on the centre. Both mirror every second image."
        ),
    ] = "none"
    num_train: Annotated[
        Count | None,
        Field(
            description="Only so many training images, the same in every trial: the classes take "
            "turns in a fixed shuffle. Unset: all."
        ),
    ] = None
    num_test: Annotated[
        Count | None,
        Field(description="Only so many test images, the same in every trial. Unset: all."),
    ] = None
    options: Annotated[Mapping[str, Any], Field(description="Options of your own data set.")] = (
        field(default=Options(), metadata=ADDED_LATER)
    )
    digest: Annotated[
        str,
        Field(
            description="Names the bits of your own data set, which has to have them. With `root` "
            "it is filled in."
        ),
    ] = field(default="", metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", Options(self.options))


@spec_class
class ModelSpec(Spec):
    """A network. A user's own, `package.module:attr`, reads `initial_weights` and its `options`."""

    name: Annotated[str, Field(description="A network by name, or `module:attribute` of your own.")]
    stem: Annotated[
        Literal["cifar", "imagenet"],
        Field(
            description="First layers of the ImageNet networks: for 32x32 images, or the original."
        ),
    ] = "cifar"
    width: Annotated[
        Count | None,
        Field(
            description="Channels of the first stage, of the networks that are no ImageNet network."
        ),
    ] = None
    norm_on_logits: Annotated[
        bool,
        Field(description="Whether the last layer's output is normalised too (ALL-CNN and NiN)."),
    ] = field(default=False, metadata=ADDED_LATER)
    dropout: Annotated[
        Share | None,
        Field(
            description="Share of the activations dropped, where the network has dropout (NiN). "
            "Unset: the network's own."
        ),
    ] = field(default=None, metadata=ADDED_LATER)
    initial_weights: Annotated[
        InitialWeights | None,
        Field(
            description="Of your own model: `own` keeps the values with which it is built, under "
            "the seed; `replaced` draws those of its convolutions and linear layers anew, as the "
            "networks by name have them. Unset: `own`."
        ),
        # In a spec, None is `replaced`: so trials were trained before there was the field.
    ] = field(default=None, metadata=ADDED_LATER)
    options: Annotated[Mapping[str, Any], Field(description="Options of your own model.")] = field(
        default=Options(), metadata=ADDED_LATER
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", Options(self.options))


@spec_class
class OptimizerSpec(Spec):
    """The optimizer and its hyperparameters, as torch defines them."""

    name: Annotated[
        Literal["sgd"], Field(description="Stochastic gradient descent is the only one.")
    ] = "sgd"
    lr: Annotated[
        float, Field(gt=0, description="Learning rate, before `lr_scaling` and the schedule.")
    ] = 0.1
    momentum: Annotated[Share, Field(description="Momentum as torch defines it.")] = 0.9
    nesterov: Annotated[bool, Field(description="Nesterov's momentum.")] = False
    weight_decay: Annotated[
        float, Field(ge=0, description="Added to the gradient, times the weight.")
    ] = 0.0
    decay_norm_and_bias: Annotated[
        bool, Field(description="`false` spares norm parameters and biases the weight decay.")
    ] = True


@spec_class
class ScheduleSpec(Spec):
    """The learning rate of each epoch, as a share of the first epoch's."""

    name: Annotated[
        Literal["constant", "multistep", "cosine"],
        Field(description="How the learning rate falls from epoch to epoch."),
    ] = "constant"
    milestones: Annotated[
        tuple[Count, ...],
        Field(description="Epochs after which `multistep` multiplies by `gamma`."),
    ] = ()
    gamma: Annotated[float, Field(gt=0, le=1, description="Factor of `multistep`.")] = 0.1


@spec_class
class TrainSpec(Spec):
    """How a trial trains, and what it records besides loss and error."""

    epochs: Annotated[
        int, Field(ge=1, le=MAX_EPOCHS, description="Passes over the training images.")
    ]
    optimizer: Annotated[
        OptimizerSpec, Field(description="The optimizer and its hyperparameters.")
    ] = field(default_factory=OptimizerSpec)
    schedule: Annotated[ScheduleSpec, Field(description="The learning rate of each epoch.")] = (
        field(default_factory=ScheduleSpec)
    )
    lr_scaling: Annotated[
        Literal["none", "linear", "sqrt"],
        Field(
            description="Multiplies lr by optimizer batch size / `reference_batch_size`, or by "
            "the square root of that."
        ),
    ] = "none"
    reference_batch_size: Annotated[
        Count | None, Field(description="The batch size at which lr holds, for `lr_scaling`.")
    ] = None
    optimizer_batch_size: Annotated[
        Count | None,
        Field(
            description="Images an optimizer step, a multiple of the batch size: gradients are "
            "accumulated. Unset: the batch size."
        ),
    ] = field(default=None, metadata=ADDED_LATER)
    eval_batch_size: Annotated[
        Count | None,
        Field(
            description="Images a test batch. Unset: the batch size, where test statistics come "
            "from the test batch."
        ),
    ] = field(default=None, metadata=ADDED_LATER)
    eval_statistics: Annotated[
        tuple[EvalStatistics, ...],
        Field(
            description="Ways of test statistics to record side by side, as `test_error_precise` "
            "and so on, each by the norms that offer it."
        ),
    ] = field(default=(), metadata=ADDED_LATER)
    threshold: Annotated[
        Annotated[float, Field(gt=0, lt=100)] | None,
        Field(
            description="Test error in percent; the time to it is recorded once the error has "
            "stayed below it."
        ),
    ] = field(default=None, metadata=ADDED_LATER)
    watch: Annotated[
        str | None,
        Field(description="Path of a layer whose output's mean and variance are recorded."),
    ] = field(default=None, metadata=ADDED_LATER)
    extra_metrics: Annotated[
        tuple[Literal["gradient_norm", "clipped_fraction"], ...],
        Field(description="Further metrics of each epoch."),
    ] = field(default=(), metadata=ADDED_LATER)
    deterministic: Annotated[
        bool,
        Field(
            description="The same bits every time on a GPU too, by slower algorithms. A CPU gives "
            "them anyway."
        ),
    ] = field(default=False, metadata=ADDED_LATER)
    precision: Annotated[
        Literal["float32", "bfloat16"],
        Field(
            description="Of forward passes: `bfloat16` is torch's autocast; weights, statistics "
            "and loss stay float32."
        ),
    ] = field(default="float32", metadata=ADDED_LATER)
    channels_last: Annotated[
        bool,
        Field(
            description="Whether images and weights lie in memory pixel by pixel: the same "
            "mathematics, another rounding."
        ),
    ] = field(default=False, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        # The order in which a grid lists them means nothing.
        for name in ("eval_statistics", "extra_metrics"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))


@spec_class
class TrialSpec(Spec):
    """The spec of one trial: norm, batch size, seed, and all else that decides its result."""

    norm: Annotated[NormSpec, Field(description="The norm, with all its options.")]
    batch_size: Annotated[Count, Field(description="Images that share statistics.")]
    seed: Annotated[
        Seed, Field(description="Draws initial weights, data order, crops and dropout.")
    ]
    data: Annotated[DataSpec, Field(description="The data set.")]
    model: Annotated[ModelSpec, Field(description="The network.")]
    train: Annotated[TrainSpec, Field(description="How it is trained.")]
    seeding: Annotated[
        Seeding,
        Field(
            description="What random streams derive from: seed and batch size, or the seed alone."
        ),
    ] = field(default="per_seed", metadata=ADDED_LATER)

    @property
    def optimizer_batch_size(self) -> int:
        """Examples of an optimizer step; more than `batch_size` where gradients accumulate."""
        return self.train.optimizer_batch_size or self.batch_size

    @property
    def custom_names(self) -> tuple[str, ...]:
        """The names among norm, data set and model that are a user's own."""
        names = (self.norm.name, self.data.name, self.model.name)
        return tuple(name for name in names if is_custom(name))

    @property
    def trial_id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON with the spec version."""
        payload = {"spec_version": SPEC_VERSION, **spec_to_dict(self)}
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """Metrics of one finished epoch: errors in percent, losses in nats, times in seconds.

    Attributes:
        epoch: counts from 1.
        train_loss: mean over the epoch's steps, while the weights change; so is `train_error`.
        num_updates: optimizer steps since the trial began.
        extra: the metrics that the spec asks for and the data set has, by name.
    """

    epoch: int
    train_loss: float
    train_error: float
    test_loss: float
    test_error: float
    best_test_error: float
    lr: float
    num_updates: int
    train_s: float
    eval_s: float
    extra: Mapping[str, float] = field(default_factory=dict)

    def values(self) -> dict[str, float]:
        """Return every metric by its name, the extra ones beside the others."""
        named = [f.name for f in dataclasses.fields(self) if f.name != "extra"]
        return {**{name: getattr(self, name) for name in named}, **self.extra}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dimensions:
    """Numbers of classes, examples, parameters and optimizer steps of a trial."""

    num_classes: int
    num_train: int
    num_test: int
    num_parameters: int
    updates_per_epoch: int

    @property
    def chance_error(self) -> float:
        """Percent wrong by guessing among equally frequent classes."""
        return 100.0 * (1 - 1 / self.num_classes)


def spec_to_dict(spec: Any) -> dict[str, Any]:
    """Return a spec as plain dictionaries, lists and scalars, as JSON and the trial's id need it.

    Every field is there but those that were added later and have their defaults.
    """
    stated = [
        field.name
        for field in dataclasses.fields(spec)
        if field.metadata != ADDED_LATER or getattr(spec, field.name) != field.default
    ]
    return {name: _to_plain(getattr(spec, name)) for name in stated}


def _to_plain(value: Any) -> Any:
    """Return a value of a spec as dictionaries, lists and scalars."""
    if dataclasses.is_dataclass(value):
        return spec_to_dict(value)
    if isinstance(value, Mapping):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    return value


def spec_from_dict(data: Mapping[str, Any]) -> TrialSpec:
    """Return the spec that `spec_to_dict` wrote.

    Raises:
        ValueError: a key is missing or unknown, or a value is not of its type or out of bounds.
    """
    try:
        return _trial_spec_adapter().validate_json(json.dumps(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"not a trial spec of this version: {where}: {first['msg']}") from error


@lru_cache
def _trial_spec_adapter() -> TypeAdapter[TrialSpec]:
    """Return the pydantic type adapter of `TrialSpec`."""
    return TypeAdapter(TrialSpec)
