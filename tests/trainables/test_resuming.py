"""A trial cut off anywhere and resumed is the trial that was never disturbed."""

import random
from dataclasses import replace

import pytest
import torch
from same_bits import assert_same_bits, finish, without_times
from trial_specs import shrink_trial, with_train

import normmods
from trainables import CheckpointDamaged, Trial, TrialSpec, train
from trainables.epoch import ChunkSizer
from trainables.spec import DataSpec, ModelSpec, ScheduleSpec
from trainables.spec_class import Seeding

COSINE = ScheduleSpec(name="cosine")
AUGMENTED = DataSpec(name="digits", num_train=60, num_test=30, augment="crop_flip")
EVERYTHING = {
    "optimizer_batch_size": 16,
    "eval_statistics": ("ema", "batch"),
    "extra_metrics": ("gradient_norm", "clipped_fraction"),
    "watch": "stage2.0.activation1",
    "threshold": 99.0,
}
NORMS = [*normmods.names(), "probe_norms:WithDropout"]


def resumable_spec(norm: str) -> TrialSpec:
    """Two epochs in which everything that a checkpoint must hold is at work."""
    model = ModelSpec(name="nin", width=8, dropout=0.4)
    spec = shrink_trial(
        norm, batch_size=4, data=AUGMENTED, model=model, schedule=COSINE, weight_decay=1e-3
    )
    return with_train(spec, **{**EVERYTHING, "optimizer_batch_size": 8, "watch": "activation4"})


@pytest.mark.parametrize(
    ("norm", "seeding"), [*((norm, "per_seed") for norm in NORMS), ("groupnorm", "per_cell")]
)
def test_killed_at_random_moments_it_ends_with_the_same_bits(norm: str, seeding: Seeding) -> None:
    spec, dice = replace(resumable_spec(norm), seeding=seeding), random.Random(norm)
    undisturbed = Trial(spec)
    metrics, weights = finish(undisturbed)

    trial, found, num_kills = Trial(spec), [], 0
    while not trial.finished:
        # Stretches end elsewhere than in the undisturbed trial.
        trial.chunk_sizer.num_steps = dice.choice([1, 2, 3])
        if (epoch := trial.advance()) is not None:
            found.append(without_times(epoch))
        if dice.random() < 0.6:
            state, num_kills = trial.state(), num_kills + 1
            torch.rand(3)
            trial = Trial(spec)
            trial.load_state(state)
    assert num_kills >= 2
    assert found == metrics
    assert_same_bits(trial.model.state_dict(), weights)
    assert trial.weights_digest == undisturbed.weights_digest
    for mine, theirs in zip(
        trial.optimizer.velocities.values(), undisturbed.optimizer.velocities.values(), strict=True
    ):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("batch_size", [2, 64])
def test_no_result_depends_on_where_stretches_end(batch_size: int) -> None:
    spec = shrink_trial(batch_size=batch_size, data=AUGMENTED if batch_size == 2 else None)
    expected = finish(Trial(spec))
    for num_steps in (1, 7, 100):
        trial = Trial(spec)
        trial.chunk_sizer = ChunkSizer(batch_size)
        trial.chunk_sizer.longest = trial.chunk_sizer.num_steps = num_steps
        found = finish(trial)
        assert found[0] == expected[0]
        assert_same_bits(found[1], expected[1])


def test_a_stretch_of_a_slow_model_is_short() -> None:
    chunk_sizer = ChunkSizer(batch_size=2)
    chunk_sizer.observe(num_steps=10, seconds=5.0)
    assert chunk_sizer.num_steps == 4
    chunk_sizer.observe(num_steps=4, seconds=100.0)
    assert chunk_sizer.num_steps == 1
    chunk_sizer.observe(num_steps=1, seconds=0.001)
    assert chunk_sizer.num_steps == 100


def test_times_go_on_with_the_rest() -> None:
    trial = Trial(shrink_trial(epochs=1))
    trial.advance()
    assert trial.current is not None
    trial.current.train_s = 1000.0
    resumed = Trial(trial.spec)
    resumed.load_state(trial.state())
    assert resumed.run_epoch().train_s > 1000


def test_train_goes_on_from_a_checkpoint() -> None:
    spec = shrink_trial(epochs=3)
    trial = Trial(spec)
    trial.run_epoch()
    rest = list(train(spec, checkpoint=trial.state()))
    assert [without_times(metrics) for metrics in rest] == finish(trial)[0]


def test_a_checkpoint_of_another_trial_is_refused() -> None:
    state = Trial(shrink_trial(seed=1)).state()
    with pytest.raises(ValueError, match="belongs to trial"):
        Trial(shrink_trial(seed=2)).load_state(state)
    with pytest.raises(CheckpointDamaged):
        Trial(shrink_trial(seed=1)).load_state(state[:-1])
