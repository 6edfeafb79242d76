from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from norm_formulas import close, group_standardised, per_channel
from norm_inputs import LAYOUTS, Shape, random_input, randomised, shapes
from torch.nn import functional

import normmods

EXAMPLE_NORMS = ("groupnorm", "instancenorm", "layernorm")


def groups_of(name: str, channels: int, asked: int = 32) -> int:
    return {"instancenorm": channels, "layernorm": 1}.get(name, math.gcd(asked, channels))


@given(shape=shapes(min_values=1), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("name", EXAMPLE_NORMS)
def test_matches_formula(name: str, shape: Shape, layout: str) -> None:
    groups = groups_of(name, shape[1])
    assume(shape[1] // groups * shape[2] * shape[3] > 1)
    layer, x = randomised(normmods.build(name, shape[1])), random_input(shape, layout)
    y = layer(x).detach()
    weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
    expected = group_standardised(x.numpy(), groups) * per_channel(weight) + per_channel(bias)
    assert y.shape == x.shape
    assert close(y.numpy(), expected)


@pytest.mark.parametrize("name", EXAMPLE_NORMS)
def test_gradients(name: str) -> None:
    layer = randomised(normmods.build(name, 6))
    x = random_input((2, 6, 3, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 16), (8, 8), (7, 1), (33, 1)])
def test_groups_that_do_not_divide_become_the_greatest_that_do(channels: int, groups: int) -> None:
    layer, x = normmods.build("groupnorm", channels), torch.randn(2, channels, 3, 3)
    assert layer.num_groups == groups
    torch.testing.assert_close(layer(x), functional.group_norm(x, groups))


def test_fewer_groups_can_be_refused() -> None:
    with pytest.raises(ValueError, match="num_channels=48, num_groups=32"):
        normmods.build("groupnorm", 48, fewer_groups=False)
    with pytest.raises(ValueError, match="num_groups >= 1"):
        normmods.build("groupnorm", 48, num_groups=0)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("name", "channels"), [("groupnorm", 8), ("instancenorm", 64)])
def test_one_value_a_group_is_refused(name: str, channels: int, device: str) -> None:
    layer = normmods.build(name, channels).to(device)
    with pytest.raises(ValueError, match="one value a group"):
        layer(torch.zeros(4, channels, 1, 1, device=device))


@pytest.mark.parametrize("name", EXAMPLE_NORMS)
def test_float32_parameters_take_bfloat16_input(name: str) -> None:
    layer = normmods.build(name, 8).bfloat16()
    x = random_input((3, 8, 5, 5))
    y = layer(x.bfloat16())
    assert y.dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32
    expected = group_standardised(x.bfloat16().double().numpy(), groups_of(name, 8))
    assert close(y.detach().double().numpy(), expected, 1e-2)
