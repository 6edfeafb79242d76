"""A trial made small: other data, a narrow network, a few epochs; never larger than it was."""

from __future__ import annotations

from dataclasses import replace

from trainables.data.lookup import dataset_info
from trainables.models.catalog import complete_model_spec
from trainables.spec import (
    Augment,
    DataSpec,
    ModelSpec,
    NormSpec,
    ScheduleSpec,
    TrainSpec,
    TrialSpec,
    is_custom,
)

MAX_EPOCHS = 10
NUM_TRAIN, NUM_TEST = 512, 300
LR_SHARE = 0.2
"""Of the learning rate, where data or network are others: 0.1 suits a ResNet-101 on CIFAR, and at
batch size 2 leaves resnet8 on digits at chance."""

WIDTHS = {"resnet8": 8, "allcnn": 16, "nin": 24}
STEM_CHANNELS = 64
"""Channels of the first layer of the ResNets that have no width."""


def shrink_trial(spec: TrialSpec) -> TrialSpec:
    """Return the trial on a few hundred digits, with a narrow network and a few epochs.

    A user's own model is not changed, and of a user's own data set a part is kept.

    Norm, batch size, seed, optimizer batch size and the recorded metrics stay the same, except for
    a watched layer that the small network lacks. The groups of a norm shrink with the width, so
    that a layer has as many channels a group as before: 32 groups of 8 channels would be
    InstanceNorm.
    """
    data, model = shrink_data(spec.data), shrink_model(spec.model)
    is_other = (data.name, model.name) != (spec.data.name, spec.model.name)
    return replace(
        spec,
        data=data,
        model=model,
        norm=_scale_groups(spec.norm, first_width(spec.model), first_width(model)),
        train=_shorten_training(spec, data, model, LR_SHARE if is_other else 1.0),
    )


def shrink_data(spec: DataSpec) -> DataSpec:
    """Return at most `NUM_TRAIN` and `NUM_TEST` digits, in place of another data set's images.

    The digits are not augmented: a mirrored digit is no digit. A user's own data set is kept, since
    a user's own model may be made for its images.
    """
    info = dataset_info(spec)
    num_train, num_test = min(info.num_train, NUM_TRAIN), min(info.num_test, NUM_TEST)
    if is_custom(spec.name):
        return replace(spec, num_train=num_train, num_test=num_test)
    if spec.name == "digits" and (num_train, num_test) == (info.num_train, info.num_test):
        return spec
    augment: Augment = spec.augment if spec.name == "digits" else "none"
    return replace(spec, name="digits", augment=augment, num_train=num_train, num_test=num_test)


def shrink_model(spec: ModelSpec) -> ModelSpec:
    """Return the same network, narrow; resnet8 for the ResNets whose width is fixed."""
    if is_custom(spec.name):
        return spec
    if spec.name not in WIDTHS:
        return complete_model_spec(ModelSpec(name="resnet8", width=WIDTHS["resnet8"]))
    return replace(spec, width=min(first_width(spec), WIDTHS[spec.name]))


def first_width(spec: ModelSpec) -> int:
    """Return the number of channels of the model's first layer."""
    return complete_model_spec(spec).width or STEM_CHANNELS


def _scale_groups(norm: NormSpec, full: int, small: int) -> NormSpec:
    """Return the norm with its groups in proportion to the width, at least 2 and a divisor of it.

    A norm of one group keeps one. More groups stay two or more: GroupNorm with one is LayerNorm.

    Args:
        norm: the norm of the full network.
        full: channels of the full network's first layer.
        small: channels of the small network's first layer.
    """
    groups = norm.options.get("num_groups")
    if small == full or isinstance(groups, bool) or not isinstance(groups, int) or groups < 2:
        return norm
    share = max(2, groups * small // full)
    fitting = max(n for n in range(1, share + 1) if small % n == 0)
    return replace(norm, options={**norm.options, "num_groups": fitting})


def _shorten_training(
    spec: TrialSpec, data: DataSpec, model: ModelSpec, lr_share: float
) -> TrainSpec:
    """Return the training spec for the small data and network, in at most `MAX_EPOCHS` epochs.

    The learning rate is multiplied by `lr_share`; a watched layer that the small network lacks is
    not watched.
    """
    train = spec.train
    epochs = min(train.epochs, MAX_EPOCHS)
    schedule = train.schedule
    if epochs < train.epochs:
        schedule = _compress_schedule(schedule, train.epochs, epochs)
    # Rounded, so that a fifth of 0.1 is 0.02 to whoever reads it.
    optimizer = replace(train.optimizer, lr=float(f"{train.optimizer.lr * lr_share:.6g}"))
    watch = train.watch
    if watch is not None and model.name != spec.model.name and not _has_layer(data, model, watch):
        watch = None
    return replace(train, epochs=epochs, schedule=schedule, optimizer=optimizer, watch=watch)


def _compress_schedule(schedule: ScheduleSpec, before: int, after: int) -> ScheduleSpec:
    """Return the schedule with its milestones at the same share of fewer epochs."""
    moved = {
        min(max(1, round(milestone * after / before)), after - 1)
        for milestone in schedule.milestones
        if milestone < before
    }
    return replace(schedule, milestones=tuple(sorted(moved - {0})))


def _has_layer(data: DataSpec, model: ModelSpec, path: str) -> bool:
    """Return whether a network for this data set has a layer of this path; builds the network."""
    from torch import nn

    from trainables.models.build import build_model

    info = dataset_info(data)
    built = build_model(
        model, in_channels=info.shape[0], num_classes=info.num_classes, norm=nn.BatchNorm2d
    )
    return path in dict(built.named_modules())
