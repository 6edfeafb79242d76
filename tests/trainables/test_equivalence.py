"""Which specs are one computation: held against what training makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from trial_specs import shrink_trial

import normmods
import trainables
from trainables.equivalence import EVALUATION_OPTIONS, norm_layers_key, setup_key, training_norm_key
from trainables.spec import ScheduleSpec, TrialSpec


def normed(name: str, **options: Any) -> TrialSpec:
    return shrink_trial(name, options=options)


def weights(trial_spec: TrialSpec) -> list[torch.Tensor]:
    trial = trainables.Trial(trial_spec, device="cpu")
    trial.run_epoch()
    return list(trial.model.state_dict().values())


SAME = [
    (normed("instancenorm"), normed("groupnorm", num_groups=32)),
    (normed("layernorm"), normed("groupnorm", num_groups=1)),
    (
        normed("assocnorm", num_groups=32),
        normed("assocnorm", key_features="channel"),
    ),
]
APART = [
    (normed("instancenorm"), normed("groupnorm", num_groups=2)),
    (
        normed("groupnorm", num_groups=2),
        normed("groupnorm_ws", num_groups=2),
    ),
    (
        normed("groupnorm", num_groups=2),
        normed("evonorm_s0", num_groups=2),
    ),
    (
        normed("assocnorm", bias="after"),
        normed("assocnorm", bias="before"),
    ),
    (
        normed("assocnorm"),
        normed("assocnorm", pairing="variance_to_weight"),
    ),
    (
        normed("groupnorm", num_groups=2),
        normed("assocnorm", num_groups=2),
    ),
    (normed("batchnorm"), normed("renorm_debias")),
    (normed("batchnorm"), normed("mabn")),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_layers_that_train_to_the_same_bits_are_one(one: TrialSpec, other: TrialSpec) -> None:
    assert norm_layers_key(one) == norm_layers_key(other)
    pairs = zip(weights(one), weights(other), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(("one", "other"), APART)
def test_layers_that_differ_are_told_apart(one: TrialSpec, other: TrialSpec) -> None:
    assert norm_layers_key(one) != norm_layers_key(other)


def test_a_schedule_is_the_rates_that_it_gives() -> None:
    plain = shrink_trial()
    late = ScheduleSpec(name="multistep", milestones=(plain.train.epochs,))
    early = ScheduleSpec(name="multistep", milestones=(1,), gamma=0.5)
    ineffective = replace(plain, train=replace(plain.train, schedule=late))
    effective = replace(plain, train=replace(plain.train, schedule=early, epochs=2))
    assert setup_key(ineffective) == setup_key(plain)
    assert setup_key(effective) != setup_key(plain)


def test_accumulating_one_batch_is_no_accumulation() -> None:
    plain = shrink_trial()
    once, twice = (
        replace(plain, train=replace(plain.train, optimizer_batch_size=n * plain.batch_size))
        for n in (1, 2)
    )
    assert setup_key(once) == setup_key(plain) != setup_key(twice)


@pytest.mark.parametrize("norm", ["probe_norms:Explodes", "probe_norms:GroupOfOne"])
def test_a_users_layer_is_known_by_its_name_and_options(norm: str) -> None:
    """It may count its calls, or keep its parameters from being learnt."""
    assert norm_layers_key(shrink_trial(norm)) == (norm, ())


OTHER_VALUES = {"momentum": 0.9, "eval_statistics": "batch"}


@pytest.mark.parametrize(
    ("name", "option"), [(n, o) for n, of in EVALUATION_OPTIONS.items() for o in sorted(of)]
)
def test_an_option_that_acts_in_tests_alone_leaves_the_parameters_their_bits(
    name: str, option: str
) -> None:
    value = OTHER_VALUES[option]
    if normmods.options(name)[option] == value:
        value = "ema"
    one, other = normed(name), normed(name, **{option: value})
    assert one != other
    assert training_norm_key(one.norm) == training_norm_key(other.norm)
    ended = []
    for spec in (one, other):
        trial = trainables.Trial(spec, device="cpu")
        trial.run_epoch()
        ended.append([p.detach().clone() for p in trial.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ended, strict=True))


def test_an_option_that_acts_in_training_does_not() -> None:
    for name, options in (("batchnorm", {"eps": 0.1}), ("batchrenorm", {"momentum": 0.9})):
        one, other = normed(name), normed(name, **options)
        assert training_norm_key(one.norm) != training_norm_key(other.norm)
