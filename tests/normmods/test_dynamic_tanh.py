from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_formulas import close, per_channel
from norm_inputs import LAYOUTS, Shape, random_input, randomised, shapes

import normmods


@given(shape=shapes(min_values=1), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=20, deadline=None)
def test_matches_formula(shape: Shape, layout: str) -> None:
    layer = randomised(normmods.build("dynamictanh", shape[1], initial_alpha=0.8))
    x = random_input(shape, layout)
    weight, bias = (per_channel(p.detach().numpy()) for p in (layer.weight, layer.bias))
    squashed = np.tanh(float(layer.alpha.detach()) * x.numpy())
    assert close(layer(x).detach().numpy(), weight * squashed + bias)


def test_gradients_and_initial_alpha() -> None:
    initial = normmods.build("dynamictanh", 3, initial_alpha=0.8).alpha
    assert initial.item() == np.float32(0.8)
    layer = randomised(normmods.build("dynamictanh", 3))
    x = random_input((2, 3, 2, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))
