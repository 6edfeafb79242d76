"""Trials trained as one network, held to the same trials alone."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
import torch
from torch import Tensor
from trial_specs import shrink_trial, with_train

import normmods
from trainables import Diverged, EpochMetrics, Trial, TrialSpec
from trainables.fused.trials import FusedTrials
from trainables.spec import DataSpec, ModelSpec, ScheduleSpec
from trainables.spec_class import Seeding

SEEDS = (0, 3, 4)
LR = 0.001
"""At ten times as much AssocNorm magnifies any rounding ten millionfold within these steps."""

AUGMENTED = DataSpec(name="digits", num_train=60, num_test=30, augment="crop_flip")
MODELS = {
    "resnet8": (ModelSpec(name="resnet8", width=8), "stage2.0.activation1"),
    "allcnn": (ModelSpec(name="allcnn", width=8), "activation5"),
    "nin": (ModelSpec(name="nin", width=8, dropout=0.4), "activation4"),
}


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Double precision, so that rounding cannot hide a difference."""
    begin = Trial.__init__

    def begin_doubled(trial: Trial, *given: Any, **options: Any) -> None:
        begin(trial, *given, **options)
        trial.model.double()
        velocities = trial.optimizer.velocities
        velocities.update({key: value.double() for key, value in velocities.items()})
        data = trial.dataset
        trial.dataset = dataclasses.replace(data, mean=data.mean.double(), std=data.std.double())

    monkeypatch.setattr(Trial, "__init__", begin_doubled)
    monkeypatch.setattr(
        "trainables.data.load.Dataset.standardise",
        lambda data, images: images.double().sub_(data.mean).div_(data.std),
    )


def demanding(norm: str, model: str = "resnet8") -> TrialSpec:
    """Two epochs of 30 updates in all, with all that a spec can ask for."""
    architecture, watch = MODELS[model]
    spec = shrink_trial(
        norm,
        batch_size=2,
        data=AUGMENTED,
        model=architecture,
        schedule=ScheduleSpec(name="cosine"),
        weight_decay=1e-3,
        lr=LR,
    )
    return with_train(
        spec,
        optimizer_batch_size=4,
        eval_statistics=("ema", "batch", "precise"),
        extra_metrics=("gradient_norm", "clipped_fraction"),
        watch=watch,
        threshold=99.0,
    )


def seeds_of(spec: TrialSpec) -> list[Trial]:
    return [Trial(dataclasses.replace(spec, seed=seed), device="cpu") for seed in SEEDS]


def alone(trial: Trial) -> list[EpochMetrics]:
    return [trial.run_epoch() for _ in range(trial.spec.train.epochs - trial.epoch)]


def together(trials: list[Trial]) -> dict[int, list[Any]]:
    """What `FusedTrials` tells of each seed, until all have ended."""
    fused = FusedTrials(trials)
    told: dict[int, list[Any]] = {trial.spec.seed: [] for trial in trials}
    while not fused.finished:
        seeds = [trial.spec.seed for trial in fused.trials]
        for seed, progress in zip(seeds, fused.advance(), strict=True):
            if progress is not None:
                told[seed].append(progress)
    return told


def assert_alike(found: EpochMetrics, expected: EpochMetrics, tolerance: float) -> None:
    for name, value in expected.values().items():
        if not name.endswith("_s") and not name.startswith("seconds"):
            # Activations are averaged in single precision, whatever the model's.
            near = 1e-6 if name.startswith("activation") else tolerance
            assert found.values()[name] == pytest.approx(value, rel=near, abs=near), name


def assert_same_weights(found: Trial, expected: Trial, tolerance: float) -> None:
    weights: dict[str, Tensor] = expected.model.state_dict()
    for name, value in found.model.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=tolerance, atol=tolerance, msg=name)


CASES = [
    *((norm, "resnet8") for norm in normmods.names()),
    ("batchnorm", "nin"),
    ("mabn", "allcnn"),
]


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize(
    ("norm", "model", "seeding"),
    [*((*case, "per_seed") for case in CASES), ("batchnorm", "nin", "per_cell")],
)
def test_it_is_the_same_mathematics(norm: str, model: str, seeding: Seeding) -> None:
    spec = dataclasses.replace(demanding(norm, model), seeding=seeding)
    trials = seeds_of(spec)
    told = together(trials)
    for trial, expected in zip(trials, seeds_of(spec), strict=True):
        for found, epoch in zip(told[trial.spec.seed], alone(expected), strict=True):
            assert_alike(found, epoch, 1e-8)
        assert_same_weights(trial, expected, 1e-9)


@pytest.mark.parametrize("norm", ["batchnorm", "assocnorm", "renorm_debias"])
def test_in_single_precision_it_stays_within_rounding(norm: str) -> None:
    """Twenty steps of float32: 24 bits, of which a step may cost a few."""
    spec = shrink_trial(norm, batch_size=4, lr=LR, epochs=1, data=AUGMENTED)
    trials = seeds_of(spec)
    together(trials)
    for trial, expected in zip(trials, seeds_of(spec), strict=True):
        alone(expected)
        assert_same_weights(trial, expected, 2e-4)


@pytest.mark.usefixtures("in_float64")
def test_a_trial_goes_on_alone_and_in_another_group() -> None:
    spec = demanding("batchrenorm", "nin")
    dice = random.Random(1)
    first = seeds_of(spec)
    fused = FusedTrials(first)
    for _ in range(5):
        fused.chunk_sizer.num_steps = dice.choice([1, 2, 3])
        fused.advance()
    assert first[0].steps_into_epoch > 0
    resumed = seeds_of(spec)
    for trial, before in zip(resumed, first, strict=True):
        trial.load_state(before.state())
    single, *others = resumed
    alone(single)
    together(others[::-1])
    for trial, expected in zip(resumed, seeds_of(spec), strict=True):
        alone(expected)
        assert_same_weights(trial, expected, 1e-9)


@pytest.mark.usefixtures("in_float64")
def test_a_trial_that_diverges_touches_no_other() -> None:
    spec = demanding("batchnorm")
    trials = seeds_of(spec)
    with torch.no_grad():
        next(trials[1].model.parameters()).fill_(torch.inf)
    told = together(trials)
    assert [type(end) for end in told[SEEDS[1]]] == [Diverged]
    for place in (0, 2):
        (expected,) = [t for t in seeds_of(spec) if t.spec.seed == SEEDS[place]]
        alone(expected)
        assert_same_weights(trials[place], expected, 1e-9)


def test_a_checkpoint_of_one_holds_one() -> None:
    spec = shrink_trial()
    trials = seeds_of(spec)
    before = len(trials[0].state())
    FusedTrials(trials).advance()
    assert len(trials[0].state()) < 1.5 * before


def test_other_cells_and_other_steps_are_refused() -> None:
    trial, other = Trial(shrink_trial()), Trial(shrink_trial(batch_size=4, seed=1))
    with pytest.raises(ValueError, match="differ in their seed alone"):
        FusedTrials([trial, other])
    ahead = Trial(shrink_trial(seed=1))
    ahead.run_epoch()
    with pytest.raises(ValueError, match=r"\(0, 0\) and \(1, 0\): advance the one that is behind"):
        FusedTrials([trial, ahead])
    with pytest.raises(ValueError, match="got no trial"):
        FusedTrials([])
