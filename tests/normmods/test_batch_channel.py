from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from norm_formulas import Array, batch_moments, close, group_standardised, per_channel
from norm_inputs import LAYOUTS, Shape, random_input, randomised, shapes

import normmods


class Official:
    """The authors' BCNorm (joe-siyuan-qiao/Batch-Channel-Normalization) in NumPy."""

    def __init__(self, channels: int, groups: int, rate: float, *, estimate: bool) -> None:
        self.groups, self.rate, self.estimate = groups, rate, estimate
        self.mean, self.var = np.zeros(channels), np.ones(channels)

    def __call__(self, x: Array, weights: list[Array], *, training: bool) -> Array:
        weight, bias, group_weight, group_bias = weights
        mean, var = self.mean, self.var
        if training and self.estimate:
            about_estimate = ((x - per_channel(self.mean)) ** 2).mean((0, 2, 3))
            self._move(x.mean((0, 2, 3)), about_estimate)
            mean, var = self.mean, self.var
        elif training:
            mean, var = batch_moments(x)
            count = x.size / x.shape[1]
            self._move(mean, var * count / (count - 1))
        y = (x - per_channel(mean)) / per_channel((var + 1e-5) ** 0.5)
        y = group_standardised(per_channel(weight) * y + per_channel(bias), self.groups)
        repeats = x.shape[1] // self.groups
        shift = per_channel(group_bias.repeat(repeats))
        return y * per_channel(group_weight.repeat(repeats)) + shift

    def _move(self, mean: Array, var: Array) -> None:
        self.mean = (1 - self.rate) * self.mean + self.rate * mean
        self.var = (1 - self.rate) * self.var + self.rate * var


@given(shape=shapes(), layout=st.sampled_from(LAYOUTS), estimate=st.booleans())
@settings(max_examples=30, deadline=None)
def test_matches_the_authors_code_over_many_steps(
    shape: Shape, layout: str, estimate: bool
) -> None:
    channels = shape[1]
    groups = math.gcd(32, channels)
    assume(channels // groups * shape[2] * shape[3] > 1)
    options = {"momentum": 0.3, "estimate": estimate}
    layer = randomised(normmods.build("batchchannelnorm", channels, **options))
    weights = [
        p.detach().numpy() for p in (layer.weight, layer.bias, layer.group_weight, layer.group_bias)
    ]
    official = Official(channels, groups, 0.3, estimate=estimate)
    for seed in range(20):
        training = seed % 5 < 4
        x = random_input(shape, layout, seed) + 6
        wanted = official(x.numpy(), weights, training=training)
        assert close(layer.train(training)(x).detach().numpy(), wanted)
    np.testing.assert_allclose(layer.running_mean, official.mean)
    np.testing.assert_allclose(layer.running_var, official.var)


def test_first_variance_at_a_mean_of_six_is_about_the_initial_estimate() -> None:
    """0.9 * 1 + 0.1 * (1 + 6^2) = 4.6; about the batch's mean it would be 1."""
    layer = normmods.build("batchchannelnorm", 2, num_groups=1)
    layer(torch.tensor([5.0, 7.0]).view(1, 1, 1, 2).expand(1, 2, 1, 2))
    torch.testing.assert_close(layer.running_var, torch.full((2,), 4.6))


@pytest.mark.parametrize("estimate", [True, False])
def test_gradients_over_steps(estimate: bool) -> None:
    """Against autograd through the formula; estimates are constants, batch statistics are not."""
    layer = randomised(normmods.build("batchchannelnorm", 4, num_groups=2, estimate=estimate))
    mean, var = torch.zeros(4).double(), torch.ones(4).double()
    for step in range(5):
        x = (random_input((2, 4, 3, 2), seed=step) + 2).requires_grad_()
        upstream = random_input((2, 4, 3, 2), seed=50 + step)
        if estimate:
            var = 0.9 * var + 0.1 * (x.detach() - mean[:, None, None]).square().mean((0, 2, 3))
            mean = 0.9 * mean + 0.1 * x.detach().mean((0, 2, 3))
        else:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        z = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        z = (z * layer.weight[:, None, None] + layer.bias[:, None, None]).view(2, 2, -1)
        z = z - z.mean(2, keepdim=True)
        z = z / (z.square().mean(2, keepdim=True) + 1e-5).sqrt()
        y = layer.group_weight[:, None] * z + layer.group_bias[:, None]
        inputs = (x, *layer.parameters())
        wanted = torch.autograd.grad(y.view(x.shape), inputs, upstream)
        found = torch.autograd.grad(layer(x), inputs, upstream)
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours, theirs)


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
    layer = normmods.build("batchchannelnorm", 4, num_groups=2, estimate=False).to(device)
    with pytest.raises(ValueError, match="one value a channel"):
        layer(torch.zeros(1, 4, 1, 1, device=device))
