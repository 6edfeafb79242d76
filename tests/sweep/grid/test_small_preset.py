"""One trial made small."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainables
from normmods import build
from sweep.grid.small_preset import MAX_EPOCHS, shrink_trial
from trainables.models.catalog import complete_model_spec
from trainables.spec import (
    DataSpec,
    ModelSpec,
    NormSpec,
    OptimizerSpec,
    ScheduleSpec,
    TrainSpec,
    TrialSpec,
)

WIDE = {"resnet101": 64, "resnet8": 64, "allcnn": 96, "nin": 192}
NARROW = {"resnet101": 8, "resnet8": 8, "allcnn": 16, "nin": 24}


def spec(model: str = "resnet101", **changes: Any) -> TrialSpec:
    width = None if model == "resnet101" else WIDE[model]
    whole = TrialSpec(
        norm=NormSpec(name="groupnorm", options={"num_groups": 32}),
        batch_size=4,
        seed=0,
        data=DataSpec(name="cifar10", augment="crop_flip"),
        model=complete_model_spec(ModelSpec(name=model, width=width)),
        train=TrainSpec(epochs=350),
    )
    return dataclasses.replace(whole, **changes)


def train(**changes: Any) -> TrainSpec:
    return TrainSpec(**{"epochs": 350, **changes})


@pytest.mark.parametrize("model", WIDE)
def test_a_layer_keeps_its_channels_a_group_or_more(model: str) -> None:
    small = shrink_trial(spec(model))
    groups = small.norm.options["num_groups"]
    assert small.model.width == NARROW[model]
    assert isinstance(groups, int)
    assert 1 < groups <= 32 * NARROW[model] / WIDE[model]
    assert NARROW[model] % groups == 0
    assert NARROW[model] // groups >= WIDE[model] // 32


@pytest.mark.parametrize("num_groups", [1, 2, 4, 5, 32, 48])
@pytest.mark.parametrize("model", WIDE)
def test_group_norm_becomes_neither_instance_nor_layer_norm(model: str, num_groups: int) -> None:
    norm = NormSpec(name="groupnorm", options={"num_groups": num_groups})
    small = shrink_trial(spec(model, norm=norm))
    layer: Any = build("groupnorm", NARROW[model], **small.norm.options)
    assert layer.num_groups < NARROW[model]
    assert (layer.num_groups == 1) is (num_groups == 1)


def test_associate_norm_by_group_stays_another_than_by_channel() -> None:
    norm = NormSpec(name="assocnorm", options={"num_groups": 32, "key_features": "group"})
    layer: Any = build("assocnorm", 8, **shrink_trial(spec(norm=norm)).norm.options)
    assert layer.num_groups == 4


def test_what_is_small_already_stays_as_it_is() -> None:
    tiny = dataclasses.replace(
        spec(),
        data=DataSpec(name="digits", augment="crop_flip", num_train=64, num_test=32),
        model=ModelSpec(name="resnet8", width=4),
        train=train(epochs=3, schedule=ScheduleSpec(name="multistep", milestones=(1, 5))),
    )
    assert shrink_trial(tiny) == tiny


def test_nothing_becomes_larger() -> None:
    few = spec(data=DataSpec(name="cifar10", num_train=100, num_test=50))
    data = shrink_trial(few).data
    assert (data.name, data.num_train, data.num_test) == ("digits", 100, 50)


def test_the_learning_rate_suits_another_network_and_is_kept_for_the_same() -> None:
    fast = train(optimizer=OptimizerSpec(lr=0.1))
    assert shrink_trial(spec(train=fast)).train.optimizer.lr == 0.02
    same = spec("resnet8", data=DataSpec(name="digits"), train=fast)
    assert shrink_trial(same).train.optimizer.lr == 0.1


@pytest.mark.parametrize(
    ("model", "layer", "kept"),
    [("allcnn", "activation5", True), ("resnet101", "layer1", False), ("resnet101", "conv1", True)],
)
def test_a_layer_is_watched_where_the_small_network_has_it(
    model: str, layer: str, kept: bool
) -> None:
    small = shrink_trial(spec(model, train=train(watch=layer)))
    assert small.train.watch == (layer if kept else None)
    trainables.check_feasibility(small)


@given(epochs=st.integers(1, 400), data=st.data())
def test_milestones_keep_their_order_and_stand_between_two_epochs(
    epochs: int, data: st.DataObject
) -> None:
    given_ = data.draw(st.lists(st.integers(1, 2 * epochs), max_size=4, unique=True))
    schedule = ScheduleSpec(name="multistep", milestones=tuple(sorted(given_)))
    small = shrink_trial(spec(train=train(epochs=epochs, schedule=schedule))).train
    assert small.epochs == min(epochs, MAX_EPOCHS)
    milestones = small.schedule.milestones
    if epochs <= MAX_EPOCHS:
        assert small.schedule == schedule
        return
    assert list(milestones) == sorted(set(milestones))
    assert all(1 <= milestone < small.epochs for milestone in milestones)
    assert len(milestones) <= sum(milestone < epochs for milestone in given_)


def test_it_learns() -> None:
    trial = trainables.Trial(shrink_trial(spec(batch_size=8)), device="cpu")
    errors = [trial.run_epoch().test_error for _ in range(trial.spec.train.epochs)]
    assert errors[-1] < 25  # percent; guessing leaves 90
