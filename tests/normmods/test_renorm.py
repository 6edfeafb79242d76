from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_formulas import Renormalised, close, warmed_clip
from norm_inputs import LAYOUTS, Shape, bowl, random_input, randomised, shapes
from torch import Tensor, nn

import normmods

RENORMS = ("batchrenorm", "renorm_debias")


def affine(layer: nn.Module) -> tuple:
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


@given(shape=shapes(), layout=st.sampled_from(LAYOUTS), momentum=st.sampled_from([0.01, 0.3]))
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("name", RENORMS)
def test_matches_formula_over_several_steps(
    name: str, shape: Shape, layout: str, momentum: float
) -> None:
    layer = randomised(normmods.build(name, shape[1], momentum=momentum))
    expected = Renormalised(shape[1], name == "renorm_debias", alpha=1 - momentum)
    for seed in range(4):
        x = random_input(shape, layout, seed) * (1 + seed) + seed
        y = layer(x).detach()
        assert close(y.numpy(), expected.step(x.numpy(), *affine(layer)))
    mean, std = expected.averages()
    assert close(layer.running_mean.numpy(), mean)
    assert close(layer.running_std.numpy(), std)
    x = random_input(shape, layout, seed=9)
    for choice in ("ema", "batch"):
        layer.eval_statistics = choice
        want = (
            expected.ema(x.numpy(), *affine(layer))
            if choice == "ema"
            else expected.step(x.numpy(), *affine(layer), training=False)
        )
        assert close(layer.eval()(x).detach().numpy(), want)


def test_first_debiased_step_is_batchnorm_exactly() -> None:
    layer, x = normmods.build("renorm_debias", 16), torch.randn(4, 16, 5, 5) * 3 + 7
    y = layer(x)
    ratio, shift, r, d = layer._latest
    assert bool((r == 1).all() and (d == 0).all() and (ratio == 1).all() and (shift == 0).all())
    torch.testing.assert_close(y, nn.BatchNorm2d(16)(x))


def test_debiased_averages_are_never_fed_back_into_a_blow_up() -> None:
    layer, x = normmods.build("renorm_debias", 1), torch.ones(2, 1, 2, 2)
    for _ in range(200):
        layer(x)
    torch.testing.assert_close(layer.running_mean, torch.ones(1))


def test_float32_averages_follow_float64_ones_for_thousands_of_steps() -> None:
    layer, exact = normmods.build("renorm_debias", 4), Renormalised(4, debias=True)
    torch.manual_seed(0)
    for _ in range(3000):
        x = torch.randn(2, 4, 1, 1)
        layer(x)
        exact.step(x.double().numpy(), *affine(layer))
    mean, std = exact.averages()
    assert close(layer.running_mean.double().numpy(), mean, 1e-5)
    assert close(layer.running_std.double().numpy(), std, 1e-5)


@pytest.mark.parametrize("name", RENORMS)
def test_gradients_treat_r_and_d_as_constants(name: str) -> None:
    layer = randomised(normmods.build(name, 3, momentum=0.3))
    for seed in range(2):
        layer(random_input((3, 3, 2, 2), seed=seed) * 2)
    x = random_input((3, 3, 2, 2), seed=7).requires_grad_()
    y = layer(x)
    r, d = (value[:, None, None] for value in layer._latest[2:])
    assert bool((r != 1).any() and (d != 0).any())

    def with_constants(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        z = nn.functional.batch_norm(x, None, None, training=True) * r + d
        return z * weight[:, None, None] + bias[:, None, None]

    inputs = (x, layer.weight, layer.bias)
    upstream = random_input((3, 3, 2, 2), seed=11)
    assert torch.autograd.gradcheck(with_constants, inputs)
    wanted = torch.autograd.grad(with_constants(*inputs), inputs, upstream)
    for ours, theirs in zip(torch.autograd.grad(y, inputs, upstream), wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


@given(warmup=st.integers(0, 3), r_ramp=st.integers(0, 4), d_ramp=st.integers(0, 4))
@settings(max_examples=20, deadline=None)
def test_warmup_opens_the_clips_linearly(warmup: int, r_ramp: int, d_ramp: int) -> None:
    options = {"warmup_steps": warmup, "r_ramp_steps": r_ramp, "d_ramp_steps": d_ramp}
    layer = normmods.build("batchrenorm", 2, **options).double()
    expected = Renormalised(2, debias=False)
    for t in range(1, 9):
        scheduled = (warmup, r_ramp, d_ramp) != (0, 0, 0)
        expected.r_max = warmed_clip(t, 1.0, 3.0, warmup, r_ramp) if scheduled else 3.0
        expected.d_max = warmed_clip(t, 0.0, 5.0, warmup, d_ramp) if scheduled else 5.0
        x = random_input((2, 2, 3, 3), seed=t) * 40
        assert close(layer(x).detach().numpy(), expected.step(x.numpy(), *affine(layer)))


@pytest.mark.parametrize("name", RENORMS)
def test_outputs_gradients_and_state_over_more_steps_than_the_schedule(name: str) -> None:
    """Against autograd through the formula, r and d of it by plain arithmetic."""
    schedule = {"warmup_steps": 30, "r_ramp_steps": 50, "d_ramp_steps": 20}
    options = schedule if name == "batchrenorm" else {}
    layer = randomised(normmods.build(name, 3, momentum=0.05, **options))
    debias, alpha = name == "renorm_debias", 0.95
    m, s = torch.zeros(3).double(), torch.full((3,), 0.0 if debias else 1.0).double()
    clipped = 0
    for t in range(1, 121):
        x = (random_input((2, 3, 2, 2), seed=t) * (1 + t % 5) + t % 3).requires_grad_()
        upstream = random_input((2, 3, 2, 2), seed=500 + t)
        mean = x.mean((0, 2, 3))
        sigma = ((x - mean[:, None, None]).square().mean((0, 2, 3)) + 1e-5).sqrt()
        mu_b, sigma_b = mean.detach(), sigma.detach()
        r_max = 3.0 if debias else warmed_clip(t, 1.0, 3.0, 30, 50)
        d_max = 5.0 if debias else warmed_clip(t, 0.0, 5.0, 30, 20)
        if debias:
            m, s = alpha * m + (1 - alpha) * mu_b, alpha * s + (1 - alpha) * sigma_b
        correction = 1 - alpha**t if debias else 1.0
        mu, std = m / correction, s / correction
        r = (sigma_b / std).clamp(1 / r_max, r_max)
        d = ((mu_b - mu) / std).clamp(-d_max, d_max)
        clipped += int((r != sigma_b / std).sum())
        if not debias:
            m, s = alpha * m + (1 - alpha) * mu_b, alpha * s + (1 - alpha) * sigma_b
        z = (x - mean[:, None, None]) / sigma[:, None, None]
        z = z * r[:, None, None] + d[:, None, None]
        y = z * layer.weight[:, None, None] + layer.bias[:, None, None]
        inputs = (x, *layer.parameters())
        wanted = (y, *torch.autograd.grad(y, inputs, upstream))
        ours = layer(x)
        found = (ours, *torch.autograd.grad(ours, inputs, upstream))
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
        correction = 1 - alpha**t if debias else 1.0
        torch.testing.assert_close(layer.running_mean, m / correction)
        torch.testing.assert_close(layer.running_std, s / correction)
    assert clipped > 0


@pytest.mark.parametrize("name", RENORMS)
def test_clipped_fraction_counts_channels(name: str) -> None:
    layer = normmods.build(name, 4)
    with pytest.raises(ValueError, match="needs a batch"):
        layer.clipped_fraction()
    for _ in range(3):
        layer(torch.randn(8, 4, 6, 6))
    x = torch.randn(8, 4, 6, 6)
    x[:, 0] *= 100
    x[:, 1] += 100
    layer.eval_statistics = "batch"
    layer.eval()(x)
    assert float(layer.clipped_fraction()) == 0.5


@pytest.mark.parametrize("name", RENORMS)
def test_options_of_the_clips(name: str) -> None:
    with pytest.raises(ValueError, match=r"r_max=0\.5"):
        normmods.build(name, 4, r_max=0.5)
    with pytest.raises(ValueError, match="d_max=-1"):
        normmods.build(name, 4, d_max=-1)
    if name == "batchrenorm":
        with pytest.raises(ValueError, match="warmup_steps=-1"):
            normmods.build(name, 4, warmup_steps=-1)


@given(shape=shapes(), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("name", RENORMS)
def test_native_path_is_the_reference(name: str, shape: Shape, layout: str) -> None:
    layer = randomised(normmods.build(name, shape[1], momentum=0.3))
    twin = copy.deepcopy(layer)
    for seed in range(3):
        x = (random_input(shape, layout, seed) * (1 + seed) + seed).requires_grad_()
        outputs = layer(x), twin.reference(x)
        grads = [
            torch.autograd.grad(bowl(y), (x, *module.parameters()))
            for y, module in zip(outputs, (layer, twin), strict=True)
        ]
        for native, reference in zip((outputs[0], *grads[0]), (outputs[1], *grads[1]), strict=True):
            torch.testing.assert_close(native, reference, rtol=1e-8, atol=1e-8)
    for native, reference in zip(layer.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(native, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", RENORMS)
def test_bfloat16_input_is_normalised_in_float32(name: str) -> None:
    layer, x = normmods.build(name, 8), torch.randn(4, 8, 5, 5).bfloat16()
    y = layer(x)
    assert y.dtype == torch.bfloat16
    twin = normmods.build(name, 8)
    torch.testing.assert_close(y, twin(x.float()).bfloat16())
    torch.testing.assert_close(layer.running_mean, twin.running_mean)
