import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from trial_specs import shrink_trial, with_train

from trainables.optim import Sgd, learning_rate_at
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
    spec = shrink_trial(epochs=epochs, schedule=schedule)
    rates = [learning_rate_at(spec, epoch) for epoch in range(1, epochs + 1)]
    assert rates == pytest.approx(torch_schedule(spec), rel=1e-9, abs=1e-12)


def test_a_milestone_is_the_last_epoch_before_the_drop() -> None:
    schedule = ScheduleSpec(name="multistep", milestones=(150, 250), gamma=0.1)
    spec = shrink_trial(epochs=350, lr=0.1, schedule=schedule)
    rates = [learning_rate_at(spec, epoch) for epoch in (1, 150, 151, 250, 251, 350)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [("none", 0.1), ("linear", 0.1 * 4 / 64), ("sqrt", 0.1 * math.sqrt(4 / 64))],
)
def test_scaling_is_relative_to_the_reference_batch_size(scaling: str, expected: float) -> None:
    spec = with_train(
        shrink_trial(batch_size=4, lr=0.1), lr_scaling=scaling, reference_batch_size=64
    )
    assert learning_rate_at(spec, 1) == pytest.approx(expected)


def test_scaling_needs_a_reference() -> None:
    with pytest.raises(ValueError, match="needs reference_batch_size"):
        learning_rate_at(with_train(shrink_trial(), lr_scaling="linear"), 1)


def gradients(model: nn.Module, step: int) -> None:
    """Give every parameter a gradient that differs by step and element."""
    for index, parameter in enumerate(model.parameters()):
        stream = torch.Generator().manual_seed(100 * step + index)
        parameter.grad = torch.randn(parameter.shape, generator=stream)


@given(
    lr=st.floats(1e-3, 1),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    nesterov=st.booleans(),
    weight_decay=st.sampled_from([0.0, 0.1]),
    decay_norm_and_bias=st.booleans(),
)
def test_steps_are_those_of_torchs_optimizer(
    lr: float, momentum: float, nesterov: bool, weight_decay: float, decay_norm_and_bias: bool
) -> None:
    spec = OptimizerSpec(
        momentum=momentum,
        nesterov=nesterov and momentum > 0,
        weight_decay=weight_decay,
        decay_norm_and_bias=decay_norm_and_bias,
    )
    norm = nn.Linear(2, 2)  # a norm may hold matrices, as AssocNorm does
    model = nn.Sequential(nn.Conv2d(1, 2, 1), norm)
    other = copy.deepcopy(model)
    decayed = [other[0].weight]
    spared = [other[0].bias, *other[1].parameters()]
    expected = torch.optim.SGD(
        [
            {"params": decayed, "weight_decay": weight_decay},
            {"params": spared, "weight_decay": weight_decay if decay_norm_and_bias else 0.0},
        ],
        lr=lr,
        momentum=momentum,
        nesterov=spec.nesterov,
        foreach=False,
    )
    optimizer = Sgd(model, spec, norms=[norm])
    for step in range(4):
        rate = lr / (step + 1)
        expected.param_groups[0]["lr"] = expected.param_groups[1]["lr"] = rate
        gradients(model, step)
        gradients(other, step)
        optimizer.step(rate)
        expected.step()
    torch.testing.assert_close(dict(model.named_parameters()), dict(other.named_parameters()))


def test_a_parameter_without_a_gradient_stays_and_gradients_are_dropped() -> None:
    model = nn.Linear(2, 2)
    before = model.bias.detach().clone()
    optimizer = Sgd(model, OptimizerSpec(), norms=[])
    for _ in range(2):
        gradients(model, 0)
        model.bias.grad = None
        optimizer.step(0.1)
    assert torch.equal(model.bias, before)
    assert model.weight.grad is None


def test_a_loaded_state_goes_on_as_the_saved_one() -> None:
    model = nn.Linear(2, 2)
    optimizer = Sgd(model, OptimizerSpec(), norms=[])
    gradients(model, 0)
    optimizer.step(0.1)
    resumed_model = copy.deepcopy(model)
    resumed = Sgd(resumed_model, OptimizerSpec(), norms=[])
    resumed.load_state_dict(optimizer.state_dict())
    for each, step in ((model, optimizer), (resumed_model, resumed)):
        gradients(each, 1)
        step.step(0.1)
    assert torch.equal(model.weight, resumed_model.weight)
