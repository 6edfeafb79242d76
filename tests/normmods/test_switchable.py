from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_formulas import Array, batch_moments, close, per_channel
from norm_inputs import LAYOUTS, Shape, random_input, randomised, shapes
from torch import Tensor, nn

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


def test_averages_and_gradients_over_many_steps() -> None:
    """Against autograd through the printed formula, with the authors' averages (momentum 0.9)."""
    layer = randomised(normmods.build("switchablenorm", 3))
    mean_bn, var_bn = torch.zeros(3).double(), torch.ones(3).double()
    for step in range(40):
        x = (random_input((2, 3, 3, 2), seed=step) * (1 + step % 3)).requires_grad_()
        upstream = random_input((2, 3, 3, 2), seed=100 + step)
        means = [x.mean(over, keepdim=True) for over in ((2, 3), (1, 2, 3), (0, 2, 3))]
        variances = [
            x.var(over, correction=0, keepdim=True) for over in ((2, 3), (1, 2, 3), (0, 2, 3))
        ]
        p, q = layer.mean_logits.softmax(0), layer.var_logits.softmax(0)
        mean = sum(share * each for share, each in zip(p, means, strict=True))
        var = sum(share * each for share, each in zip(q, variances, strict=True))
        y = (x - mean) / (var + 1e-5).sqrt()
        y = y * layer.weight[:, None, None] + layer.bias[:, None, None]
        inputs = (x, *layer.parameters())
        wanted = (y, *torch.autograd.grad(y, inputs, upstream))
        ours = layer(x)
        found = (ours, *torch.autograd.grad(ours, inputs, upstream))
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other)
        mean_bn = 0.9 * mean_bn + 0.1 * means[2].detach().flatten()
        var_bn = 0.9 * var_bn + 0.1 * variances[2].detach().flatten()
    torch.testing.assert_close(layer.running_mean, mean_bn)
    torch.testing.assert_close(layer.running_var, var_bn)


def test_precise_is_the_authors_batch_average() -> None:
    """Sums of mean and mean^2 + var over the batches, as with using_moving_average=False.

    The second layer sees what the first makes of each batch in training.
    """
    torch.manual_seed(0)
    first, second = (randomised(normmods.build("switchablenorm", 3), seed) for seed in (1, 2))
    model = nn.Sequential(first, second)
    batches = [random_input((4, 3, 3, 2), seed=step) * (1 + step) + step for step in range(12)]
    normmods.recompute_precise(model, batches)
    inputs: list[Tensor] = batches
    for layer in model:
        sum_of_means, sum_of_squares = np.zeros(3), np.zeros(3)
        for batch in inputs:
            mean, var = batch_moments(batch.detach().numpy())
            sum_of_means += mean
            sum_of_squares += mean**2 + var
        average = sum_of_means / len(batches)
        np.testing.assert_allclose(layer.precise_mean, average)
        np.testing.assert_allclose(layer.precise_var, sum_of_squares / len(batches) - average**2)
        layer.train()
        inputs = [layer(batch).detach() for batch in inputs]
    x = random_input((2, 3, 3, 2), seed=99)
    expected = x
    for layer in model.eval():
        running = layer.running_mean.clone(), layer.running_var.clone()
        layer.running_mean.copy_(layer.precise_mean)
        layer.running_var.copy_(layer.precise_var)
        expected = layer(expected)
        layer.running_mean.copy_(running[0])
        layer.running_var.copy_(running[1])
    with normmods.using_eval_statistics(model, "precise"):
        torch.testing.assert_close(model(x), expected)
    assert not torch.allclose(model(x), expected)


def test_precise_before_any_batch_is_refused() -> None:
    layer = normmods.build("switchablenorm", 3, eval_statistics="precise").eval()
    with pytest.raises(ValueError, match="recompute_precise"):
        layer(torch.randn(2, 3, 3, 3))


def test_states_from_before_the_batch_averages_load() -> None:
    layer = normmods.build("switchablenorm", 3)
    layer(torch.randn(2, 3, 3, 3) + 5)
    state = {k: v for k, v in layer.state_dict().items() if not k.startswith("precise")}
    twin = normmods.build("switchablenorm", 3)
    twin.load_state_dict(state)
    assert torch.equal(twin.running_mean, layer.running_mean)
    assert "precise_mean" not in state
