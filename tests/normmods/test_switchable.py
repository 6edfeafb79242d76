from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_formulas import Array, batch_moments, close, per_channel
from norm_inputs import LAYOUTS, Shape, random_input, randomised, shapes

import normmods


def softmax(z: Array) -> Array:
    return np.exp(z) / np.exp(z).sum()


@given(shape=shapes(), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=30, deadline=None)
def test_matches_formula_over_several_steps(shape: Shape, layout: str) -> None:
    layer = randomised(normmods.build("switchablenorm", shape[1], momentum=0.3))
    p, q = (softmax(z.detach().numpy()) for z in (layer.mean_logits, layer.var_logits))
    weight, bias = (per_channel(z.detach().numpy()) for z in (layer.weight, layer.bias))
    running = np.zeros(shape[1]), np.ones(shape[1])
    for step, choice in enumerate(["train", "train", "ema", "batch"]):
        x = random_input(shape, layout, step).numpy()
        of_batch = running if choice == "ema" else batch_moments(x)
        if choice == "train":
            running = tuple(0.7 * a + 0.3 * b for a, b in zip(running, of_batch, strict=True))
        else:
            layer.eval_statistics = choice
        mean = (
            p[0] * x.mean((2, 3), keepdims=True)
            + p[1] * x.mean((1, 2, 3), keepdims=True)
            + p[2] * per_channel(of_batch[0])
        )
        var = (
            q[0] * x.var((2, 3), keepdims=True)
            + q[1] * x.var((1, 2, 3), keepdims=True)
            + q[2] * per_channel(of_batch[1])
        )
        y = layer.train(choice == "train")(random_input(shape, layout, step)).detach().numpy()
        assert close(y, weight * (x - mean) / np.sqrt(var + 1e-5) + bias)


def test_gradients() -> None:
    layer = randomised(normmods.build("switchablenorm", 3))
    x = random_input((2, 3, 3, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))
