from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from norm_formulas import Array, associate, close
from norm_inputs import LAYOUTS, Shape, bowl, random_input, randomised, shapes
from torch import nn

import normmods

ENTRIES = ("after", "before", "multiply", "none")
PAIRINGS = ("mean_to_weight", "variance_to_weight")


def expected_output(layer: nn.Module, x: Array) -> Array:
    names = ("encoder", "weight_decoder", "bias_decoder", "weight", "bias")
    parameters = (getattr(layer, name) for name in names)
    arrays = (None if p is None else p.detach().numpy() for p in parameters)
    swapped = layer._form.swapped
    return associate(x, *arrays, entry=layer._form.entry, swapped=swapped)


@given(
    shape=shapes(min_values=1),
    layout=st.sampled_from(LAYOUTS),
    key_features=st.sampled_from(["group", "channel"]),
    entry=st.sampled_from(ENTRIES),
    pairing=st.sampled_from(PAIRINGS),
)
@settings(max_examples=80, deadline=None)
def test_matches_formula(
    shape: Shape, layout: str, key_features: str, entry: str, pairing: str
) -> None:
    channels = shape[1]
    groups = channels if key_features == "channel" else math.gcd(32, channels)
    assume(channels // groups * shape[2] * shape[3] > 1)
    layer = normmods.build(
        "assocnorm", channels, key_features=key_features, bias=entry, pairing=pairing
    )
    layer, x = randomised(layer), random_input(shape, layout)
    assert layer.num_groups == groups
    assert close(layer(x).detach().numpy(), expected_output(layer, x.numpy()))


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("key_features", ["group", "channel"])
def test_gradients(entry: str, pairing: str, key_features: str) -> None:
    torch.manual_seed(3)
    layer = normmods.build(
        "assocnorm", 6, num_groups=3, bias=entry, pairing=pairing, key_features=key_features
    )
    layer = randomised(layer)
    x = random_input((2, 6, 3, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


@pytest.mark.parametrize("channels", [64, 256, 512, 2048])
def test_parameters_of_a_layer(channels: int) -> None:
    layer = normmods.build("assocnorm", channels)
    assert layer.encoder.shape == (2, 32)
    assert layer.weight_decoder.shape == layer.bias_decoder.shape == (32, 2)
    assert sum(p.numel() for p in layer.parameters()) - 2 * channels == 192


def test_initial_values_come_from_one_draw() -> None:
    torch.manual_seed(5)
    layer = normmods.build("assocnorm", 64)
    after = torch.rand(1)
    torch.manual_seed(5)
    drawn = torch.randn(3, 64)
    assert torch.equal(torch.rand(1), after)
    for parameter, values in zip(
        (layer.encoder, layer.weight_decoder, layer.bias_decoder), drawn, strict=True
    ):
        assert torch.equal(parameter.flatten(), values)
    assert torch.equal(layer.weight, torch.ones(64))
    assert torch.equal(layer.bias, torch.zeros(64))


def dead_shares(**options: str) -> tuple[float, float]:
    """Of 400 new layers' variance paths: hidden units off for all examples, paths without any."""
    units, paths = 0.0, 0
    for seed in range(400):
        torch.manual_seed(seed)
        layer = normmods.build("assocnorm", 64, **options)
        layer(torch.randn(4, 64, 16, 16)).sum().backward()
        off = layer.bias_decoder.grad.abs().sum(0) == 0
        units += float(off.float().mean()) / 400
        paths += int(off.all())
    return units, paths / 400


def test_a_quarter_of_layers_start_without_a_gradient_for_the_variance() -> None:
    """A row's sum is negative with probability 1/2, both rows' with 1/4 (3 standard errors)."""
    units, paths = dead_shares()
    assert abs(units - 1 / 2) < 3 * math.sqrt(0.25 / 800) + 0.04  # variances are not quite equal
    assert abs(paths - 1 / 4) < 3 * math.sqrt(0.1875 / 400) + 0.04
    units, paths = dead_shares(encoder_init="first_positive")
    assert units < 0.3
    assert paths == 0


def test_first_positive_changes_the_first_row_alone_and_answers_alike_to_equal_variances() -> None:
    answers = []
    for seed in range(300):
        torch.manual_seed(seed)
        printed = normmods.build("assocnorm", 64)
        torch.manual_seed(seed)
        layer = normmods.build("assocnorm", 64, encoder_init="first_positive")
        assert bool((layer.encoder[0] > 0).all())
        assert torch.equal(layer.encoder[1:], printed.encoder[1:])
        assert torch.equal(layer.bias_decoder, printed.bias_decoder)
        answers.append(layer.encoder[0].sum().item())
    assert abs(sum(answers) / 300 - math.sqrt(32)) < 0.1


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="reduction=0"):
        normmods.build("assocnorm", 64, reduction=0)
    with pytest.raises(ValueError, match="bias='outside'"):
        normmods.build("assocnorm", 64, bias="outside")
    with pytest.raises(ValueError, match="key_features='pixel'"):
        normmods.build("assocnorm", 64, key_features="pixel")
    with pytest.raises(ValueError, match="pairing='both'"):
        normmods.build("assocnorm", 64, pairing="both")
    with pytest.raises(ValueError, match="encoder_init='zero'"):
        normmods.build("assocnorm", 64, encoder_init="zero")
    with pytest.raises(ValueError, match="num_channels=48, num_groups=32"):
        normmods.build("assocnorm", 48, fewer_groups=False)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_one_value_a_group_is_refused(device: str) -> None:
    layer = normmods.build("assocnorm", 16).to(device)
    with pytest.raises(ValueError, match="one value a group"):
        layer(torch.zeros(4, 16, 1, 1, device=device))


def test_bfloat16_input_is_normalised_in_float32() -> None:
    layer, x = normmods.build("assocnorm", 64), torch.randn(4, 64, 5, 5).bfloat16()
    y = layer(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), layer(x.float()), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("shape", [(3, 12, 4, 5), (4, 64, 17, 16)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_native_path_is_the_reference(entry: str, pairing: str, shape: Shape, layout: str) -> None:
    layer = randomised(normmods.build("assocnorm", shape[1], bias=entry, pairing=pairing))
    x = random_input(shape, layout).requires_grad_()
    outputs = layer(x), layer.reference(x)
    inputs = (x, *layer.parameters())
    grads = [torch.autograd.grad(bowl(y), inputs) for y in outputs]
    for native, reference in zip((outputs[0], *grads[0]), (outputs[1], *grads[1]), strict=True):
        torch.testing.assert_close(native, reference, rtol=1e-9, atol=1e-9)


def test_memory_format_is_kept() -> None:
    x = random_input((2, 8, 3, 3), "channels_last").float()
    assert normmods.build("assocnorm", 8)(x).is_contiguous(memory_format=torch.channels_last)


def test_autocast_leaves_the_arithmetic_in_float32() -> None:
    layer, x = normmods.build("assocnorm", 64), torch.randn(4, 64, 5, 5)
    expected = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), expected)
