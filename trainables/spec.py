"""What a trial is, and what it yields: frozen, complete, hashable by content.

A `TrialSpec` holds everything that decides a trial's result and nothing else: no path, no
resource, no tracking. Two specs are the same trial exactly if their `trial_id` is the same.
This module imports neither torch nor numpy, so that a grid can be read in an instant.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from normmods.option_values import LARGEST_INT
from trainables.options import Options, OptionValue

SPEC_VERSION = 1
"""Part of every trial's identity; raised when the same spec would train differently."""

Augment = Literal["none", "crop_flip", "crop24_flip"]
ScheduleName = Literal["constant", "multistep", "cosine"]
LrScaling = Literal["none", "linear", "sqrt"]
EvalStatistics = Literal["ema", "precise", "batch"]
ExtraMetric = Literal["gradient_norm", "clipped_fraction"]
InitialWeights = Literal["own", "replaced"]
Precision = Literal["float32", "bfloat16"]
Count = Annotated[int, Ge(1), Le(LARGEST_INT)]
MOST_EPOCHS = 1_000_000
"""More is a slip of the pen, and rates by epoch would fill the memory."""
ADDED_LATER: Mapping[str, bool] = MappingProxyType({"added_later": True})
"""Metadata of a field that version 1 began without. While it has its default, which must mean
what the code did before there was the field, it is left out of the identity: old ids hold."""


def is_custom(name: str) -> bool:
    """Whether a norm, data set or model is a user's own, named as `package.module:attr`."""
    return ":" in name


class Spec:
    """Base of the specs. The bounds in their annotations are checked where a grid is read."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}


class Outcome(StrEnum):
    """How a trial ended. Only `FAILED` and `OUT_OF_MEMORY` are accidents."""

    COMPLETED = "completed"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class NormSpec(Spec):
    """A norm by its registered name or as `package.module:attr`, with all its options."""

    name: str
    options: Mapping[str, OptionValue] = Options()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", Options(self.options))


@dataclass(frozen=True, kw_only=True)
class DataSpec(Spec):
    """A data set. `num_train` and `num_test` keep so many examples; None keeps all.

    They are the same ones in every trial: the classes take turns in a fixed shuffle.
    `augment`: `crop_flip` crops the image's own size from the image padded by an eighth of it,
    `crop24_flip` 24x24 from the bare image (the centre at test time); both mirror every second.
    `options` are those of a user's own data set, `package.module:attr`. `digest` names the bits of
    one that is told where its files lie (`data.root` of a grid): the path is no part of what a
    trial is, and the bits are.
    """

    name: str
    augment: Augment = "none"
    num_train: Count | None = None
    num_test: Count | None = None
    options: Mapping[str, Any] = field(default=Options(), metadata=ADDED_LATER)
    digest: str = field(default="", metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", Options(self.options))


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Spec):
    """A model. `stem` is read by the ResNets, `width` (channels of the first layer) by the others.

    ALL-CNN and NiN have their norm on the logits too with `norm_on_logits`. `dropout` is NiN's;
    None is the model's own. `options` are those of a user's own model, `package.module:attr`,
    which reads none of the others but `initial_weights`: `own` keeps the values with which it was
    built, under the seed; `replaced`, and None as in trials of before there was the field, draws
    those of its convolutions and linear layers anew, as the built-in models have them.
    """

    name: str
    stem: Literal["cifar", "imagenet"] = "cifar"
    width: Count | None = None
    norm_on_logits: bool = field(default=False, metadata=ADDED_LATER)
    dropout: Annotated[float, Ge(0), Lt(1)] | None = field(default=None, metadata=ADDED_LATER)
    initial_weights: InitialWeights | None = field(default=None, metadata=ADDED_LATER)
    options: Mapping[str, Any] = field(default=Options(), metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", Options(self.options))


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec(Spec):
    """SGD as torch defines it. `decay_norm_and_bias: false` spares norm parameters and biases."""

    name: Literal["sgd"] = "sgd"
    lr: Annotated[float, Gt(0)] = 0.1
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Ge(0)] = 0.0
    decay_norm_and_bias: bool = True


@dataclass(frozen=True, kw_only=True)
class ScheduleSpec(Spec):
    """Learning rate per epoch; `milestones` and `gamma` belong to multistep alone."""

    name: ScheduleName = "constant"
    milestones: tuple[Count, ...] = ()
    gamma: Annotated[float, Gt(0), Le(1)] = 0.1


@dataclass(frozen=True, kw_only=True)
class TrainSpec(Spec):
    """How a trial trains and what it records besides loss and error.

    Attributes:
        lr_scaling: multiplies lr by (optimizer batch size / `reference_batch_size`) or its root.
        optimizer_batch_size: examples an optimizer step, a multiple of the batch size, which is
            the number that share statistics; None: the same.
        eval_batch_size: None: the batch size where test statistics come from the test batch.
        eval_statistics: ways of test statistics to record side by side (`test_error_precise`,
            ...), each by the norms that offer it.
        threshold: test error in percent; the time to it is recorded once it has held.
        watch: path of a layer in the model whose output's mean and variance are recorded.
        extra_metrics: further metrics, by name.
        deterministic: the same bits every time on a GPU too, by slower algorithms; those of a
            CPU are so anyway.
        precision: of forward passes, in training and tests; `bfloat16` is torch's autocast, and
            leaves weights, norm statistics and the loss in float32.
        channels_last: whether images and weights lie in memory pixel by pixel. The mathematics is
            the same, the rounding is not.
    """

    epochs: Annotated[int, Ge(1), Le(MOST_EPOCHS)]
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    schedule: ScheduleSpec = field(default_factory=ScheduleSpec)
    lr_scaling: LrScaling = "none"
    reference_batch_size: Count | None = None
    optimizer_batch_size: Count | None = field(default=None, metadata=ADDED_LATER)
    eval_batch_size: Count | None = field(default=None, metadata=ADDED_LATER)
    eval_statistics: tuple[EvalStatistics, ...] = field(default=(), metadata=ADDED_LATER)
    threshold: Annotated[float, Gt(0), Lt(100)] | None = field(default=None, metadata=ADDED_LATER)
    watch: str | None = field(default=None, metadata=ADDED_LATER)
    extra_metrics: tuple[ExtraMetric, ...] = field(default=(), metadata=ADDED_LATER)
    deterministic: bool = field(default=False, metadata=ADDED_LATER)
    precision: Precision = field(default="float32", metadata=ADDED_LATER)
    channels_last: bool = field(default=False, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        for name in ("eval_statistics", "extra_metrics"):  # in whatever order written
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))


@dataclass(frozen=True, kw_only=True)
class TrialSpec(Spec):
    """One trial: a cell (a norm at a batch size) with a seed, and all it trains on and by."""

    norm: NormSpec
    batch_size: Count
    seed: Annotated[int, Ge(0), Le(LARGEST_INT)]
    data: DataSpec
    model: ModelSpec
    train: TrainSpec

    @property
    def optimizer_batch_size(self) -> int:
        """Examples of an optimizer step; more than `batch_size` where gradients accumulate."""
        return self.train.optimizer_batch_size or self.batch_size

    @property
    def own(self) -> tuple[str, ...]:
        """The names among norm, data set and model that are a user's own."""
        names = (self.norm.name, self.data.name, self.model.name)
        return tuple(name for name in names if is_custom(name))

    @property
    def trial_id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON with the spec version."""
        payload = {"spec_version": SPEC_VERSION, **spec_to_dict(self)}
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """One finished epoch. Errors in percent, losses in nats, times in seconds.

    `epoch` counts from 1; `num_updates` counts optimizer steps since the trial began;
    `train_loss` and `train_error` are means over the epoch's steps, while weights move.
    `extra` holds the metrics that the spec asks for and its data set has, by name.
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
        """Every metric by its name, the extra ones beside the others."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "extra"}
        return {**own, **self.extra}


@dataclass(frozen=True, kw_only=True)
class Dimensions:
    """What a spec amounts to once its model and data are known; counts of one trial."""

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
    """Plain dictionaries, lists and scalars of a spec, for JSON: what its identity is taken from.

    It is complete but for the fields that were added later and have their defaults.
    """
    stated = [
        field.name
        for field in dataclasses.fields(spec)
        if field.metadata != ADDED_LATER or getattr(spec, field.name) != field.default
    ]
    return {name: _plain(getattr(spec, name)) for name in stated}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return spec_to_dict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def spec_from_dict(data: Mapping[str, Any]) -> TrialSpec:
    """The spec that `spec_to_dict` wrote; raises `ValueError` naming a missing or unknown key."""
    try:
        train = {key: _tupled(value) for key, value in data["train"].items()}
        schedule = {key: _tupled(value) for key, value in train.pop("schedule").items()}
        return TrialSpec(
            norm=NormSpec(**data["norm"]),
            batch_size=data["batch_size"],
            seed=data["seed"],
            data=DataSpec(**data["data"]),
            model=ModelSpec(**data["model"]),
            train=TrainSpec(
                optimizer=OptimizerSpec(**train.pop("optimizer")),
                schedule=ScheduleSpec(**schedule),
                **train,
            ),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a trial spec of this version: {error}") from error


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
