from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_formulas import batch_moments, close, per_channel
from norm_inputs import LAYOUTS, Shape, bowl, random_input, randomised, shapes

import normmods


def native(layer: torch.nn.Module, **options: float | None) -> torch.nn.BatchNorm2d:
    twin = torch.nn.BatchNorm2d(layer.num_channels, **options).double()
    with torch.no_grad():
        twin.weight.copy_(layer.weight)
        twin.bias.copy_(layer.bias)
    return twin


@given(shape=shapes(), layout=st.sampled_from(LAYOUTS), momentum=st.sampled_from([0.1, 0.9, None]))
@settings(max_examples=30, deadline=None)
def test_is_torchs_over_several_steps(shape: Shape, layout: str, momentum: float | None) -> None:
    ours = randomised(normmods.build("batchnorm", shape[1], momentum=momentum))
    theirs = native(ours, momentum=momentum)
    for seed in range(3):
        inputs = [random_input(shape, layout, seed).requires_grad_() for _ in range(2)]
        outputs = [ours(inputs[0]), theirs(inputs[1])]
        for y in outputs:
            bowl(y).backward()
        torch.testing.assert_close(outputs[0], outputs[1])
        torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    for name, buffer in theirs.named_buffers():
        torch.testing.assert_close(getattr(ours, name), buffer)
    x = random_input(shape, layout, seed=9)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_batch_statistics_at_test_time_are_the_test_batchs() -> None:
    layer = randomised(normmods.build("batchnorm", 6, eval_statistics="batch"))
    x = random_input((3, 6, 2, 2))
    mean, var = batch_moments(x.numpy())
    weight, bias = (per_channel(p.detach().numpy()) for p in (layer.weight, layer.bias))
    standardised = (x.numpy() - per_channel(mean)) / per_channel((var + 1e-5) ** 0.5)
    y = layer.eval()(x)
    assert close(y.detach().numpy(), standardised * weight + bias)
    assert int(layer.num_batches_tracked) == 0


@pytest.mark.parametrize("name", ["batchnorm", "batchrenorm", "renorm_debias"])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_one_value_a_channel_is_refused_wherever_the_batch_counts(name: str, device: str) -> None:
    layer = normmods.build(name, 4, eval_statistics="batch").to(device)
    x = torch.zeros(1, 4, 1, 1, device=device)
    for mode in (True, False):
        with pytest.raises(ValueError, match="one value a channel"):
            layer.train(mode)(x)
    layer.eval_statistics = "ema"
    assert layer.eval()(x).shape == x.shape


@pytest.mark.parametrize("name", ["batchnorm", "batchrenorm", "renorm_debias"])
def test_options_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="eval_statistics='median'"):
        normmods.build(name, 4, eval_statistics="median")
    with pytest.raises(ValueError, match=r"momentum=1\.5"):
        normmods.build(name, 4, momentum=1.5)


def test_gradients() -> None:
    layer = randomised(normmods.build("batchnorm", 3))
    x = random_input((3, 3, 2, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


@pytest.mark.parametrize("name", ["batchnorm", "ghostbatchnorm"])
def test_plain_averages_are_compiled_as_one_graph(name: str) -> None:
    """The averages are those of NumPy over all batches so far, as torch's `momentum=None` says."""
    layer = normmods.build(name, 3, momentum=None)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    batches = torch.randn(4, 8, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
    reference = normmods.build(name, 3, momentum=None)
    for x in batches:
        torch.testing.assert_close(compiled(x), reference(x))
    values = batches.double().numpy()
    means = values.mean((1, 3, 4)).mean(0)
    variances = values.var((1, 3, 4), ddof=1).mean(0)
    np.testing.assert_allclose(layer.running_mean.double().numpy(), means, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.double().numpy(), variances, rtol=1e-5)
    assert int(layer.num_batches_tracked) == 4
