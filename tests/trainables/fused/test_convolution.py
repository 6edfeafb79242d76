"""Convolutions of several networks side by side, held to each network's own `nn.Conv2d`."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainables.fused import convolution
from trainables.fused.convolution import FusedConvolution, is_supported_convolution


@st.composite
def layers(draw: st.DrawFn) -> nn.Conv2d:
    kernel = draw(st.integers(1, 4))
    return nn.Conv2d(
        draw(st.integers(1, 4)),
        draw(st.integers(1, 5)),
        kernel,
        stride=draw(st.integers(1, 3)),
        padding=draw(st.integers(0, kernel)),
        bias=draw(st.booleans()),
        dtype=torch.float64,
    )


def fused(alone: list[nn.Conv2d]) -> FusedConvolution:
    wide = FusedConvolution(alone[0], len(alone))
    with torch.no_grad():
        for part, one in zip(wide.split_by_model(wide.weight), alone, strict=True):
            part.copy_(one.weight)
        if wide.bias is not None:
            wide.bias.copy_(torch.stack([one.bias for one in alone]))  # type: ignore[misc]
    return wide


def gradients(y: Tensor, grad: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(y, of, grad)


@settings(deadline=None, max_examples=60)
@given(
    layer=layers(),
    networks=st.integers(2, 4),
    batch_size=st.integers(1, 3),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    few=st.sampled_from([0, 10**9]),
)
def test_outputs_and_gradients_are_each_networks_own(
    layer: nn.Conv2d, networks: int, batch_size: int, size: tuple[int, int], few: int
) -> None:
    alone = [layer]
    for _ in range(networks - 1):
        other = nn.Conv2d(
            layer.in_channels, layer.out_channels, layer.kernel_size, dtype=torch.float64,
            stride=layer.stride, padding=layer.padding, bias=layer.bias is not None,
        )  # fmt: skip
        alone.append(other)
    wide = fused(alone)
    inputs = [
        torch.randn(batch_size, layer.in_channels, *size).double().requires_grad_() for _ in alone
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "MAX_PRODUCT_OUTPUTS", few)
        together = torch.cat(inputs, 1)
        y = wide(together)
        outputs = [one(x) for one, x in zip(alone, inputs, strict=True)]
        torch.testing.assert_close(y, torch.cat(outputs, 1), rtol=1e-10, atol=1e-10)
        grad = torch.randn_like(y)
        of = [together, *wide.parameters()]
        found = gradients(y, grad, *of)
    for place, (own, one, x) in enumerate(zip(grad.chunk(networks, 1), alone, inputs, strict=True)):
        expected = gradients(outputs[place], own, x, *one.parameters())
        mine = [found[0].chunk(networks, 1)[place], wide.split_by_model(found[1])[place]]
        mine += [found[2][place]] if wide.bias is not None else []
        for value, reference in zip(mine, expected, strict=True):
            torch.testing.assert_close(value, reference, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 4, 3, groups=2),
        nn.Conv2d(2, 4, 3, dilation=2),
        nn.Conv2d(2, 4, 3, padding="same"),
        nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(2, 4, (1, 3)),
        nn.Conv2d(2, 4, 3, stride=(1, 2)),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 4, 3)),
        nn.Linear(2, 4),
    ],
)
def test_other_layers_are_left_to_torch(layer: nn.Module) -> None:
    assert not is_supported_convolution(layer)
