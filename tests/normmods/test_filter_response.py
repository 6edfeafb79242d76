from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_formulas import close, per_channel
from norm_inputs import LAYOUTS, Shape, random_input, randomised, shapes

import normmods


@given(shape=shapes(min_values=1), layout=st.sampled_from(LAYOUTS), learn_eps=st.booleans())
@settings(max_examples=30, deadline=None)
def test_matches_formula(shape: Shape, layout: str, learn_eps: bool) -> None:
    layer = randomised(normmods.build("frn_tlu", shape[1], learn_eps=learn_eps))
    x = random_input(shape, layout)
    learned = abs(float(layer.learned_eps.detach())) if learn_eps else 0.0
    power = (x.numpy() ** 2).mean((2, 3), keepdims=True)
    y = x.numpy() / np.sqrt(power + 1e-6 + learned)
    weight, bias, threshold = (
        per_channel(p.detach().numpy()) for p in (layer.weight, layer.bias, layer.threshold)
    )
    assert close(layer(x).detach().numpy(), np.maximum(weight * y + bias, threshold))


@pytest.mark.parametrize("learn_eps", [False, True])
def test_gradients(learn_eps: bool) -> None:
    layer = randomised(normmods.build("frn_tlu", 4, learn_eps=learn_eps))
    x = random_input((2, 4, 3, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))
