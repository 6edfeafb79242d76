from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from norm_formulas import batch_moments, close, group_standardised, per_channel
from norm_inputs import LAYOUTS, Shape, random_input, randomised, shapes

import normmods


@given(shape=shapes(), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=30, deadline=None)
def test_matches_formula_over_several_steps(shape: Shape, layout: str) -> None:
    channels = shape[1]
    groups = math.gcd(32, channels)
    assume(channels // groups * shape[2] * shape[3] > 1)
    layer = randomised(normmods.build("batchchannelnorm", channels, momentum=0.3))
    weight, bias, group_weight, group_bias = (
        p.detach().numpy() for p in (layer.weight, layer.bias, layer.group_weight, layer.group_bias)
    )
    mean, var = 0.0, 1.0
    for seed in range(4):
        training = seed < 3
        x = random_input(shape, layout, seed)
        if training:
            of_batch = batch_moments(x.numpy())
            mean, var = mean + 0.3 * (of_batch[0] - mean), var + 0.3 * (of_batch[1] - var)
        y = (x.numpy() - per_channel(mean)) / per_channel((var + 1e-5) ** 0.5)
        y = group_standardised(per_channel(weight) * y + per_channel(bias), groups)
        repeats = channels // groups
        y = y * per_channel(group_weight.repeat(repeats)) + per_channel(group_bias.repeat(repeats))
        assert close(layer.train(training)(x).detach().numpy(), y)


def test_estimates_are_constants_to_the_gradient() -> None:
    layer = randomised(normmods.build("batchchannelnorm", 4, num_groups=2, momentum=0.0))
    x = random_input((2, 4, 3, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


def test_two_steps_before_one_backward() -> None:
    layer = normmods.build("batchchannelnorm", 4, num_groups=2)
    (layer(torch.randn(2, 4, 3, 3)) + layer(torch.randn(2, 4, 3, 3))).sum().backward()
    assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_too_few_values_are_refused(device: str) -> None:
    layer = normmods.build("batchchannelnorm", 4).to(device)
    with pytest.raises(ValueError, match="one value a group"):
        layer(torch.zeros(2, 4, 1, 1, device=device))
    layer = normmods.build("batchchannelnorm", 4, num_groups=2).to(device)
    with pytest.raises(ValueError, match="one value a channel"):
        layer(torch.zeros(1, 4, 1, 1, device=device))
