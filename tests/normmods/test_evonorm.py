from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from norm_formulas import Array, batch_moments, close, group_moments, per_channel, sigmoid
from norm_inputs import LAYOUTS, Shape, random_input, randomised, shapes
from torch import nn

import normmods


def learned(layer: nn.Module) -> tuple[Array, ...]:
    return tuple(per_channel(p.detach().numpy()) for p in (layer.weight, layer.bias, layer.v))


@given(shape=shapes(), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=30, deadline=None)
def test_b0_matches_formula_over_several_steps(shape: Shape, layout: str) -> None:
    layer = randomised(normmods.build("evonorm_b0", shape[1], momentum=0.3))
    weight, bias, v = learned(layer)
    running = np.ones(shape[1])
    for step, choice in enumerate(["train", "train", "ema", "batch"]):
        x = random_input(shape, layout, step)
        var = running if choice == "ema" else batch_moments(x.numpy())[1]
        if choice == "train":
            running = 0.7 * running + 0.3 * var
        else:
            layer.eval_statistics = choice
        of_map = np.sqrt(x.numpy().var((2, 3), keepdims=True) + 1e-5)
        below = np.maximum(per_channel(np.sqrt(var + 1e-5)), v * x.numpy() + of_map)
        y = layer.train(choice == "train")(x).detach().numpy()
        assert close(y, weight * x.numpy() / below + bias)
    np.testing.assert_allclose(layer.running_var, running)


def test_b0_gradients_and_average_over_many_steps() -> None:
    """Against autograd through Google's formula (tensorflow/tpu, resnet_model.evonorm)."""
    layer = randomised(normmods.build("evonorm_b0", 3))
    moving = torch.ones(3).double()
    for step in range(40):
        x = (random_input((2, 3, 3, 2), seed=step) * (1 + step % 3)).requires_grad_()
        upstream = random_input((2, 3, 3, 2), seed=100 + step)
        var = x.var((0, 2, 3), correction=0)
        moving = moving - (moving - var.detach()) * (1 - 0.9)
        right = (
            layer.v[:, None, None] * x
            + (x.var((2, 3), correction=0) + 1e-5).sqrt()[..., None, None]
        )
        y = x / torch.maximum((var + 1e-5).sqrt()[:, None, None], right)
        y = y * layer.weight[:, None, None] + layer.bias[:, None, None]
        inputs = (x, *layer.parameters())
        wanted = (y, *torch.autograd.grad(y, inputs, upstream))
        ours = layer(x)
        found = (ours, *torch.autograd.grad(ours, inputs, upstream))
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other)
        torch.testing.assert_close(layer.running_var, moving)


def official_groups(channels: int, num_groups: int) -> int:
    """Counted down from what was asked for until it divides, as Google's code does."""
    while num_groups > 1 and channels % num_groups:
        num_groups -= 1
    return num_groups


@given(shape=shapes(min_values=1), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=30, deadline=None)
def test_s0_matches_formula(shape: Shape, layout: str) -> None:
    groups = official_groups(shape[1], 32)
    assume(shape[1] // groups * shape[2] * shape[3] > 1)
    layer, x = randomised(normmods.build("evonorm_s0", shape[1])), random_input(shape, layout)
    weight, bias, v = learned(layer)
    var = group_moments(x.numpy(), groups)[1].repeat(shape[1] // groups, 1)
    y = x.numpy() * sigmoid(v * x.numpy()) / np.sqrt(per_channel(var) + 1e-5)
    assert close(layer(x).detach().numpy(), weight * y + bias)


@pytest.mark.parametrize(
    ("channels", "asked", "largest_divisor", "gcd"),
    [(48, 32, 24, 16), (20, 32, 20, 4), (33, 32, 11, 1), (64, 32, 32, 32), (7, 4, 1, 1)],
)
def test_groups_are_the_largest_divisor_or_those_of_groupnorm(
    channels: int, asked: int, largest_divisor: int, gcd: int
) -> None:
    layer = normmods.build("evonorm_s0", channels, num_groups=asked)
    assert layer.num_groups == largest_divisor == official_groups(channels, asked)
    like_groupnorm = normmods.build("evonorm_s0", channels, num_groups=asked, group_choice="gcd")
    assert like_groupnorm.num_groups == gcd
    assert normmods.build("groupnorm", channels, num_groups=asked).num_groups == gcd


def test_groups_that_do_not_divide_are_refused_where_asked() -> None:
    with pytest.raises(ValueError, match="fewer_groups=True for 24 groups"):
        normmods.build("evonorm_s0", 48, fewer_groups=False)
    with pytest.raises(ValueError, match="group_choice='any'"):
        normmods.build("evonorm_s0", 48, group_choice="any")


@pytest.mark.parametrize("name", ["evonorm_b0", "evonorm_s0"])
def test_gradients(name: str) -> None:
    layer = randomised(normmods.build(name, 4))
    x = random_input((2, 4, 3, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


@pytest.mark.parametrize(("name", "text"), [("evonorm_b0", "channel"), ("evonorm_s0", "group")])
def test_too_few_values_are_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"one value a {text}"):
        normmods.build(name, 4)(torch.zeros(1, 4, 1, 1))
