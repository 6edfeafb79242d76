from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_inputs import LAYOUTS, bowl, random_input, randomised
from torch import nn

import normmods


@given(
    batch=st.integers(1, 9),
    ghost_size=st.integers(1, 6),
    layout=st.sampled_from(LAYOUTS),
    momentum=st.sampled_from([0.1, None]),
)
@settings(max_examples=30, deadline=None)
def test_is_batchnorm_on_each_part_in_turn(
    batch: int, ghost_size: int, layout: str, momentum: float | None
) -> None:
    ours = normmods.build("ghostbatchnorm", 3, ghost_size=ghost_size, momentum=momentum)
    ours = randomised(ours)
    theirs = nn.BatchNorm2d(3, momentum=momentum).double()
    with torch.no_grad():
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
    for seed in range(2):
        x, z = (random_input((batch, 3, 3, 2), layout, seed).requires_grad_() for _ in range(2))
        y = ours(x)
        parts = [theirs(z[i : i + ghost_size]) for i in range(0, batch, ghost_size)]
        torch.testing.assert_close(y, torch.cat(parts))
        bowl(y).backward()
        bowl(torch.cat(parts)).backward()
        torch.testing.assert_close(x.grad, z.grad)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    x = random_input((batch, 3, 3, 2), seed=5)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_a_part_with_one_value_a_channel_is_refused() -> None:
    layer = normmods.build("ghostbatchnorm", 3, ghost_size=2)
    with pytest.raises(ValueError, match="one value a channel"):
        layer(torch.zeros(5, 3, 1, 1))
    with pytest.raises(ValueError, match="ghost_size=0"):
        normmods.build("ghostbatchnorm", 3, ghost_size=0)
