import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from trial_specs import small_spec, with_train

from trainables.optim import build_optimizer, lr_for
from trainables.spec import OptimizerSpec, ScheduleSpec, TrialSpec


def torch_schedule(spec: TrialSpec) -> list[float]:
    """Each epoch's learning rate by torch's own schedulers, stepped after every epoch."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=spec.train.optimizer.lr)
    schedule = spec.train.schedule
    scheduler = {
        "constant": lambda: torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
        "multistep": lambda: torch.optim.lr_scheduler.MultiStepLR(
            optimizer, list(schedule.milestones), schedule.gamma
        ),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, spec.train.epochs),
    }[schedule.name]()
    rates = []
    for _ in range(spec.train.epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@given(
    name=st.sampled_from(["constant", "multistep", "cosine"]),
    epochs=st.integers(1, 40),
    milestones=st.lists(st.integers(1, 40), max_size=4).map(sorted),
    gamma=st.sampled_from([0.1, 0.5]),
)
def test_schedules_are_torchs(name: str, epochs: int, milestones: list[int], gamma: float) -> None:
    schedule = ScheduleSpec(name=name, milestones=tuple(milestones), gamma=gamma)  # type: ignore[arg-type]
    spec = small_spec(epochs=epochs, schedule=schedule)
    rates = [lr_for(spec, epoch) for epoch in range(1, epochs + 1)]
    assert rates == pytest.approx(torch_schedule(spec), rel=1e-9, abs=1e-12)


def test_a_milestone_is_the_last_epoch_before_the_drop() -> None:
    schedule = ScheduleSpec(name="multistep", milestones=(150, 250), gamma=0.1)
    spec = small_spec(epochs=350, lr=0.1, schedule=schedule)
    rates = [lr_for(spec, epoch) for epoch in (1, 150, 151, 250, 251, 350)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [("none", 0.1), ("linear", 0.1 * 4 / 64), ("sqrt", 0.1 * math.sqrt(4 / 64))],
)
def test_scaling_is_relative_to_the_reference_batch_size(scaling: str, expected: float) -> None:
    spec = with_train(small_spec(batch_size=4, lr=0.1), lr_scaling=scaling, reference_batch_size=64)
    assert lr_for(spec, 1) == pytest.approx(expected)


def test_scaling_needs_a_reference() -> None:
    with pytest.raises(ValueError, match="needs reference_batch_size"):
        lr_for(with_train(small_spec(), lr_scaling="linear"), 1)


@pytest.mark.parametrize("decay_norm_and_bias", [True, False])
@pytest.mark.parametrize("nesterov", [True, False])
def test_two_steps_are_those_of_the_formula(decay_norm_and_bias: bool, nesterov: bool) -> None:
    spec = OptimizerSpec(
        lr=0.3,
        momentum=0.9,
        nesterov=nesterov,
        weight_decay=0.1,
        decay_norm_and_bias=decay_norm_and_bias,
    )
    norm = nn.Linear(2, 2)  # a norm may hold matrices, as AssocNorm does
    model = nn.Sequential(nn.Conv2d(1, 2, 1), norm)
    before = {path: p.detach().clone().double().numpy() for path, p in model.named_parameters()}
    gradients = {path: np.full_like(value, 0.5) for path, value in before.items()}

    optimizer = build_optimizer(model, spec, norms=[norm])
    for _ in range(2):
        for path, parameter in model.named_parameters():
            parameter.grad = torch.from_numpy(gradients[path]).float()
        optimizer.step()

    for path, parameter in model.named_parameters():
        decay = 0.1 if decay_norm_and_bias or path == "0.weight" else 0.0
        value, velocity = before[path], np.zeros_like(before[path])
        for _ in range(2):
            gradient = gradients[path] + decay * value
            velocity = 0.9 * velocity + gradient
            value = value - 0.3 * (gradient + 0.9 * velocity if nesterov else velocity)
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-5)


def test_every_parameter_is_optimised_once() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    for spared in (True, False):
        spec = dataclasses.replace(OptimizerSpec(), decay_norm_and_bias=not spared)
        optimizer = build_optimizer(model, spec, norms=[model[1]])
        owned = [id(p) for group in optimizer.param_groups for p in group["params"]]
        assert sorted(owned) == sorted(id(p) for p in model.parameters())
