from __future__ import annotations

from typing import Any

import pytest
import torch
from same_bits import assert_same_bits, finish
from torch import nn
from trial_specs import shrink_trial, with_train

import normmods
from trainables import Trial, TrialSpec, check_feasibility
from trainables.data.load import load_dataset
from trainables.fused.trials import FusedTrials
from trainables.spec import DataSpec

NORMS = [name for name in normmods.names() if name != "none"]
REDUCED: dict[str, Any] = {"precision": "bfloat16"}
LAST: dict[str, Any] = {"channels_last": True}


def spec(norm: str = "batchnorm", *, seed: int = 0, lr: float = 0.02, **train: Any) -> TrialSpec:
    return with_train(shrink_trial(norm, seed=seed, lr=lr, epochs=1), **train)


def seen_by(trial: Trial, kind: type[nn.Module]) -> list[torch.Tensor]:
    """What the layers of a kind are given and give in an epoch of the trial."""
    seen: list[torch.Tensor] = []
    for layer in trial.model.modules():
        if isinstance(layer, kind):
            layer.register_forward_hook(lambda _, x, y: seen.extend([x[0], y]))
    trial.run_epoch()
    return seen


def assert_close_after_two_steps(
    trials: list[Trial], others: list[Trial], bound: float, *, fused: bool = False
) -> None:
    """Weights within `bound` of their layer's largest; further steps magnify any rounding."""
    for crew in [FusedTrials(trials)] if fused else trials:
        crew.chunk_sizer.num_steps = 2
        crew.advance()
    for trial, other in zip(trials, others, strict=True):
        other.chunk_sizer.num_steps = 2
        other.advance()
        pairs = zip(trial.model.parameters(), other.model.parameters(), strict=True)
        for found, expected in pairs:
            assert (found - expected).abs().max() <= bound * max(expected.abs().max(), 0.01)


def test_what_the_defaults_are_stays_out_of_the_id() -> None:
    assert spec(precision="float32", channels_last=False).trial_id == spec().trial_id
    ids = {spec().trial_id, spec(**REDUCED).trial_id, spec(**LAST).trial_id}
    assert len(ids) == 3


def test_another_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="Input should be 'float32' or 'bfloat16'"):
        check_feasibility(spec(precision="float16"))


@pytest.mark.parametrize("norm", NORMS)
def test_in_bfloat16_every_norm_trains_with_its_state_in_float32(norm: str) -> None:
    reduced, full = Trial(spec(norm, **REDUCED), device="cpu"), Trial(spec(norm), device="cpu")
    outputs = seen_by(reduced, nn.Conv2d)[1::2]
    assert {output.dtype for output in outputs} == {torch.bfloat16}
    state = [t for t in reduced.model.state_dict().values() if t.is_floating_point()]
    assert {tensor.dtype for tensor in state} == {torch.float32}
    full.run_epoch()
    # bfloat16 has 8 bits: within 2^-8 a layer, and so some percent after a dozen steps of a dozen.
    found, expected = reduced.run_epoch().train_loss, full.run_epoch().train_loss
    assert found == pytest.approx(expected, rel=0.1)
    assert found != expected


def test_the_loss_is_taken_in_float32() -> None:
    trial = Trial(spec(**REDUCED), device="cpu")
    images, labels = trial.current_epoch().examples.chunk(0, 2)
    losses, _ = trial.steps.run_steps(images, labels, 0.1, trial.current_epoch().observer)
    assert losses.dtype == torch.float32


@pytest.mark.parametrize("norm", NORMS)
def test_channels_last_differs_by_rounding_alone(norm: str) -> None:
    last, usual = Trial(spec(norm, **LAST), device="cpu"), Trial(spec(norm), device="cpu")
    if norm == "mabn":
        # Centered weights make 0 of a constant patch, where rounding decides relu's gradient.
        for layer in (*last.model.modules(), *usual.model.modules()):
            if isinstance(layer, normmods.MovingAverageBatchNorm):
                nn.init.constant_(layer.bias, 0.1)
    assert_close_after_two_steps([last], [usual], 1e-4)


def test_channels_last_is_how_images_weights_and_maps_lie() -> None:
    trial = Trial(spec(**LAST), device="cpu")
    for tensor in seen_by(trial, nn.Conv2d):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    for layer in trial.model.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.is_contiguous(memory_format=torch.channels_last)
            velocity = trial.optimizer.velocities[layer.weight]
            assert velocity.is_contiguous(memory_format=torch.channels_last)


def test_the_order_in_memory_changes_no_pixel() -> None:
    data = load_dataset(DataSpec(name="digits", num_train=30, num_test=30))
    trial = Trial(spec(**LAST), device="cpu")
    images = data.test.images
    assert torch.equal(trial.dataset.standardise(images), data.standardise(images))


@pytest.mark.parametrize("changes", [REDUCED, LAST, REDUCED | LAST])
def test_both_go_on_from_a_checkpoint_to_the_same_bits(changes: dict[str, Any]) -> None:
    whole = Trial(spec("renorm_debias", **changes), device="cpu")
    begun = Trial(spec("renorm_debias", **changes), device="cpu")
    begun.chunk_sizer.num_steps = 3
    begun.advance()
    other = Trial(spec("renorm_debias", **changes), device="cpu")
    other.load_state(begun.state())
    (expected, weights), (found, again) = finish(whole), finish(other)
    assert found == expected
    assert_same_bits(again, weights)


def in_two_ways(**changes: Any) -> tuple[list[Trial], list[Trial]]:
    """The same two seeds twice."""
    specs = [spec("assocnorm", seed=seed, **changes) for seed in range(2)]
    once, again = ([Trial(one, device="cpu") for one in specs] for _ in range(2))
    return once, again


def test_seeds_side_by_side_lie_in_memory_as_they_like() -> None:
    together, alone = in_two_ways(**LAST)
    assert_close_after_two_steps(together, alone, 1e-3, fused=True)


def test_seeds_side_by_side_in_bfloat16_agree_with_each_alone() -> None:
    together, alone = in_two_ways(**REDUCED)
    crew = FusedTrials(together)
    crew.chunk_sizer.num_steps = 2
    crew.advance()
    for trial, other in zip(together, alone, strict=True):
        other.chunk_sizer.num_steps = 2
        other.advance()
        # Two losses in bfloat16's rounding of 2^-8 a layer.
        expected = other.current_epoch().train_loss
        assert trial.current_epoch().train_loss == pytest.approx(expected, rel=0.02)
