"""MABN held to the authors' code (megvii-model/MABN, MABN.py), written down again in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from norm_formulas import Array, close, per_channel
from norm_inputs import LAYOUTS, random_input, randomised
from torch import Tensor, nn

import normmods

CHANNELS = 3


class Official:
    """State and one training step of the authors' layer; batches count from 1."""

    def __init__(self, history: int, warmup: int, renormalize_after: float, momentum: float):
        self.history, self.warmup, self.renormalize_after = history, warmup, renormalize_after
        self.decay = 1 - momentum
        self.t = 0
        self.chi2 = np.zeros((history, CHANNELS))
        self.psi = np.zeros((history, CHANNELS))
        self.running = np.ones(CHANNELS)
        self.ratios: list[Array] = []

    def step(self, x: Array, upstream: Array, weight: Array, bias: Array) -> tuple[Array, ...]:
        """Output and the gradients of x, weight and bias."""
        self.t += 1
        slot = self.t % self.history
        own = self.t <= self.history or self.t < self.warmup
        self.chi2[slot] = (x**2).mean((0, 2, 3))
        moment = self.chi2[slot] if own else self.chi2.mean(0)
        s = np.sqrt(moment + 1e-5)
        ratio = s / np.sqrt(self.running + 1e-5)
        self.ratios.append(ratio)
        r = np.ones(CHANNELS)
        if self.t > self.renormalize_after:
            r = np.minimum(np.maximum(ratio, 0.2), 5.0)
        self.running = self.decay * self.running + (1 - self.decay) * moment
        z = x / per_channel(s)
        g = upstream * per_channel(weight) * per_channel(r)
        self.psi[slot] = (g * z).mean((0, 2, 3))
        psi = self.psi[slot] if own else self.psi.mean(0)
        grad_x = (g - z * per_channel(psi)) / per_channel(s)
        y = per_channel(r) * z
        grads = (grad_x, (upstream * y).sum((0, 2, 3)), upstream.sum((0, 2, 3)))
        return (per_channel(weight) * y + per_channel(bias), *grads)


def compare(official: Official, options: dict, steps: int, layout: str, swing: float) -> None:
    layer = normmods.prepare(randomised(normmods.build("mabn", CHANNELS, **options)))
    arrays = [p.detach().numpy() for p in (layer.weight, layer.bias)]
    for step in range(steps):
        scale = swing ** np.sin(step / 3)
        x = (random_input((2, CHANNELS, 2, 3), layout, step) * scale).requires_grad_()
        upstream = random_input((2, CHANNELS, 2, 3), seed=9000 + step)
        y = layer(x)
        found = torch.autograd.grad(y, (x, layer.weight, layer.bias), upstream)
        wanted = official.step(x.detach().numpy(), upstream.numpy(), *arrays)
        for ours, theirs in zip((y.detach(), *found), wanted, strict=True):
            assert close(ours.numpy(), theirs), step
        np.testing.assert_allclose(layer.running_var, official.running)
    assert np.allclose(np.sort(layer.moments.T, axis=0), np.sort(official.chi2, axis=0))
    assert np.allclose(np.sort(layer.projections.T, axis=0), np.sort(official.psi, axis=0))
    x = random_input((2, CHANNELS, 2, 3), layout, 50)
    z = x.numpy() / per_channel(np.sqrt(official.running + 1e-5))
    tested = per_channel(arrays[0]) * z + per_channel(arrays[1])
    assert close(layer.eval()(x).detach().numpy(), tested)


def test_defaults_follow_the_authors_code_past_the_thousandth_batch() -> None:
    compare(Official(16, 100, 1000, 0.02), {}, 1060, "contiguous", swing=3.0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("history", "warmup", "after"), [(3, 0, 0), (2, 5, 7), (1, 0, 4)])
def test_short_schedules_follow_the_authors_code(
    history: int, warmup: int, after: int, layout: str
) -> None:
    official = Official(history, warmup, after, 0.3)
    options = {"history": history, "warmup_steps": warmup, "renormalize_after": after}
    compare(official, {**options, "momentum": 0.3}, 25, layout, swing=30.0)
    if history == 1:  # the swing is meant to reach both ends of the clip
        assert np.min(official.ratios) < 0.2
        assert np.max(official.ratios) > 5


def test_without_renormalization_r_is_one_throughout() -> None:
    options = {"history": 2, "warmup_steps": 3, "renormalize_after": None, "momentum": 0.3}
    compare(Official(2, 3, np.inf, 0.3), options, 12, "contiguous", swing=3.0)


def test_plain_gradients_while_the_history_fills() -> None:
    layer = normmods.prepare(randomised(normmods.build("mabn", 3)))
    x = random_input((2, 3, 2, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


def test_passes_without_a_gradient_leave_no_zeros_among_the_projections() -> None:
    layer = normmods.prepare(randomised(normmods.build("mabn", 3, history=2, warmup_steps=0)))
    with torch.no_grad():
        for seed in range(5):
            layer(random_input((2, 3, 2, 2), seed=seed))
    x = random_input((2, 3, 2, 2), seed=9).requires_grad_()
    upstream = random_input((2, 3, 2, 2), seed=10)
    (grad,) = torch.autograd.grad(layer(x), x, upstream)
    s = per_channel(np.sqrt(layer.moments.mean(1).numpy() + 1e-5))
    z = x.detach().numpy() / s
    g = upstream.numpy() * per_channel(layer.weight.detach().numpy())
    psi = (g * z).mean((0, 2, 3))
    assert close(grad.numpy(), (g - z * per_channel(psi)) / s)


@pytest.mark.parametrize(
    "bad", [{"history": 0}, {"warmup_steps": -1}, {"momentum": 2.0}, {"renormalize_after": 99}]
)
def test_options_out_of_range_are_refused(bad: dict[str, float]) -> None:
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        normmods.build("mabn", 3, **bad)


def test_compiled_steps_are_the_eager_ones_through_every_change_of_the_schedule() -> None:
    """With inductor, which computes cheap values again in the backward pass."""
    options = {"history": 2, "warmup_steps": 4, "renormalize_after": 6, "momentum": 0.3}
    layer, twin = (normmods.prepare(normmods.build("mabn", 3, **options)).double() for _ in "12")
    torch.compiler.reset()
    compiled = torch.compile(twin, fullgraph=True)
    for step in range(9):
        x = random_input((2, 3, 2, 3), seed=step) * (1 + step % 3)
        upstream = random_input((2, 3, 2, 3), seed=100 + step)
        found = gradients(compiled, twin, x, upstream)
        for ours, eager in zip(found, gradients(layer, layer, x, upstream), strict=True):
            torch.testing.assert_close(ours, eager, rtol=1e-9, atol=1e-9)
        for (name, ours), eager in zip(twin.named_buffers(), layer.buffers(), strict=True):
            torch.testing.assert_close(ours, eager, rtol=1e-9, atol=1e-9, msg=f"{name}, {step}")


def gradients(call: nn.Module, layer: nn.Module, x: Tensor, upstream: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = call(x)
    return [y.detach(), *torch.autograd.grad(y, (x, *layer.parameters()), upstream)]
