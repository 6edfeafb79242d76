"""Seeds in step, as many side by side as wanted, held to the same seeds alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from trial_specs import shrink_trial

from trainables import Diverged, EpochMetrics, Trial, TrialSpec
from trainables.errors import NotFusable
from trainables.fused.lockstep import LockstepTraining

NUM_SEEDS = 5


def trials_of(spec: TrialSpec) -> list[Trial]:
    return [Trial(dataclasses.replace(spec, seed=seed), device="cpu") for seed in range(NUM_SEEDS)]


def to_the_end(lockstep: LockstepTraining) -> dict[int, list[Any]]:
    told: dict[int, list[Any]] = {seed: [] for seed in range(NUM_SEEDS)}
    while lockstep.trials and not lockstep.trials[0].finished:
        seeds = [trial.spec.seed for trial in lockstep.trials]
        for seed, progress in zip(seeds, lockstep.advance(), strict=True):
            if progress is not None:
                told[seed].append(progress)
        assert len({(t.epoch, t.steps_into_epoch) for t in lockstep.trials}) <= 1
    return told


@pytest.mark.parametrize("width", [None, 1, 2, 3, 8])
def test_every_width_trains_every_seed(width: int | None) -> None:
    spec = shrink_trial("batchnorm", batch_size=4, epochs=2, lr=0.001)
    trials = trials_of(spec)
    told = to_the_end(LockstepTraining(trials, width))
    for trial, alone in zip(trials, trials_of(spec), strict=True):
        expected = [alone.run_epoch() for _ in range(2)]
        found = told[trial.spec.seed]
        assert [m.epoch for m in found] == [1, 2]
        for one, other in zip(found, expected, strict=True):
            assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)
        if width == 1:
            assert trial.weights_digest == alone.weights_digest


def test_while_widths_are_tried_the_training_goes_on() -> None:
    lockstep = LockstepTraining(
        trials_of(shrink_trial("batchnorm", batch_size=10, epochs=2, lr=0.001))
    )
    assert lockstep.width.num_steps
    told = to_the_end(lockstep)
    assert all([m.num_updates for m in found] == [10, 20] for found in told.values())


def test_epochs_of_few_steps_are_long_enough_to_tell() -> None:
    lockstep = LockstepTraining(trials_of(shrink_trial(batch_size=50, epochs=12, lr=0.001)))
    to_the_end(lockstep)
    assert set(lockstep.width.step_s) == {1, 2, 3, 5}


@pytest.mark.parametrize("width", [1, 2, 5])
def test_who_diverges_leaves_and_the_others_go_on(width: int) -> None:
    spec = shrink_trial("groupnorm", batch_size=10, epochs=2, lr=0.001)
    trials = trials_of(spec)
    with torch.no_grad():
        next(trials[1].model.parameters()).fill_(float("nan"))
    lockstep = LockstepTraining(trials, width)
    told = to_the_end(lockstep)
    assert [trial.spec.seed for trial in lockstep.trials] == [0, 2, 3, 4]
    (end,) = told[1]
    assert isinstance(end, Diverged)
    for seed in (0, 2, 3, 4):
        assert [type(m) for m in told[seed]] == [EpochMetrics, EpochMetrics]


def test_what_cannot_be_fused_is_trained_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NotFusable("stem (Odd) has parameters of its own")

    monkeypatch.setattr("trainables.fused.trials.FusedNetwork", refuse)
    lockstep = LockstepTraining(trials_of(shrink_trial(batch_size=10, epochs=1)), 4)
    told = to_the_end(lockstep)
    assert lockstep.not_fusable == "stem (Odd) has parameters of its own"
    assert lockstep.width.current == 1
    assert all(len(found) == 1 for found in told.values())


def test_only_seeds_of_one_cell_at_one_step() -> None:
    spec = shrink_trial()
    ahead, behind = Trial(spec, device="cpu"), Trial(dataclasses.replace(spec, seed=1))
    ahead.advance()
    with pytest.raises(ValueError, match="advance the one that is behind alone"):
        LockstepTraining([ahead, behind])
    with pytest.raises(ValueError, match="differ in their seed alone"):
        LockstepTraining([behind, Trial(shrink_trial(batch_size=4))])
