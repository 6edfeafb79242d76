from __future__ import annotations

import math

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


@given(shape=shapes(min_values=1), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=30, deadline=None)
def test_s0_matches_formula(shape: Shape, layout: str) -> None:
    groups = math.gcd(32, shape[1])
    assume(shape[1] // groups * shape[2] * shape[3] > 1)
    layer, x = randomised(normmods.build("evonorm_s0", shape[1])), random_input(shape, layout)
    weight, bias, v = learned(layer)
    var = group_moments(x.numpy(), groups)[1].repeat(shape[1] // groups, 1)
    y = x.numpy() * sigmoid(v * x.numpy()) / np.sqrt(per_channel(var) + 1e-5)
    assert close(layer(x).detach().numpy(), weight * y + bias)


@pytest.mark.parametrize("name", ["evonorm_b0", "evonorm_s0"])
def test_gradients(name: str) -> None:
    layer = randomised(normmods.build(name, 4))
    x = random_input((2, 4, 3, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


@pytest.mark.parametrize(("name", "text"), [("evonorm_b0", "channel"), ("evonorm_s0", "group")])
def test_too_few_values_are_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"one value a {text}"):
        normmods.build(name, 4)(torch.zeros(1, 4, 1, 1))
