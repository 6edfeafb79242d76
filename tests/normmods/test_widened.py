"""A layer widened to S networks, held to S layers that know nothing of each other."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import normmods

CHANNELS = 8
BATCHES = 3
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in normmods.names()),
    *(("assocnorm", {"bias": bias}) for bias in ("before", "multiply", "none")),
    ("assocnorm", {"key_features": "channel", "pairing": "variance_to_weight"}),
    ("assocnorm", {"num_groups": 4}),
    ("groupnorm", {"num_groups": 2}),
    ("batchrenorm", {"warmup_steps": 1, "r_ramp_steps": 2, "d_ramp_steps": 2}),
    ("frn_tlu", {"learn_eps": True}),
    ("mabn", {"history": 2, "warmup_steps": 1, "renormalize_after": 1}),
    ("batchchannelnorm", {"estimate": False}),
    ("evonorm_s0", {"num_groups": 3}),
    ("ghostbatchnorm", {"ghost_size": 2}),
    ("batchnorm", {"momentum": None}),
]


def single(name: str, options: dict[str, Any], seed: int) -> nn.Module:
    """A layer in float64 whose parameters are no longer at their initial values."""
    torch.manual_seed(seed)
    layer = normmods.prepare(normmods.build(name, CHANNELS, **options)).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def fill(wide: nn.Module, layers: list[nn.Module]) -> None:
    """Write the layers' parameters into the widened one, network by network."""
    singles = [dict(layer.named_parameters()) for layer in layers]
    for name, parameter in wide.named_parameters():
        together = torch.stack([each[name].detach() for each in singles])
        parameter.data.copy_(together.reshape(parameter.shape))


def side_by_side(inputs: list[Tensor]) -> Tensor:
    return torch.cat([x.detach() for x in inputs], dim=1).requires_grad_()


def run(layer: nn.Module, x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    y = layer(x)
    y.backward(grad)
    assert x.grad is not None
    return y.detach(), x.grad


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
@given(networks=st.integers(1, 4), batch_size=st.integers(2, 5), side=st.integers(2, 4))
@settings(max_examples=5, deadline=None)
def test_it_is_as_many_layers(
    name: str, options: dict[str, Any], networks: int, batch_size: int, side: int
) -> None:
    layers = [single(name, options, seed) for seed in range(networks)]
    wide = layers[0].widened(networks)  # type: ignore[operator]
    fill(wide, layers)
    shape = (batch_size, CHANNELS, side, side)
    for _ in range(BATCHES):
        inputs = [(3 * torch.randn(shape).double()).requires_grad_() for _ in layers]
        grads = [torch.randn(shape).double() for _ in layers]
        expected = [run(*each) for each in zip(layers, inputs, grads, strict=True)]
        found = run(wide, side_by_side(inputs), torch.cat(grads, 1))
        for part, values in enumerate(zip(*expected, strict=True)):
            torch.testing.assert_close(found[part], torch.cat(values, 1), rtol=1e-9, atol=1e-9)
    check_state(wide, layers)
    wide.eval()
    x = [torch.randn(shape).double() for _ in layers]
    tested = torch.cat([layer.eval()(each) for layer, each in zip(layers, x, strict=True)], 1)
    torch.testing.assert_close(wide(torch.cat(x, 1)), tested, rtol=1e-9, atol=1e-9)


def check_state(wide: nn.Module, layers: list[nn.Module]) -> None:
    """Gradients and buffers are those of the layers, one after the other."""
    for name, parameter in wide.named_parameters():
        grads = [layer.get_parameter(name).grad for layer in layers]
        expected = torch.stack(grads).reshape(parameter.shape)  # type: ignore[arg-type]
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-9, atol=1e-9)
    for name, buffer in wide.named_buffers():
        buffers = [layer.get_buffer(name) for layer in layers]
        together = torch.stack(buffers).reshape(buffer.shape) if buffer.dim() else buffers[0]
        torch.testing.assert_close(buffer, together, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", normmods.names())
def test_one_network_s_infinities_stay_its_own(name: str) -> None:
    layer = single(name, {}, 0)
    wide = layer.widened(3)  # type: ignore[operator]
    alone = copy.deepcopy(layer)
    x = torch.randn(2, CHANNELS, 3, 3).double()
    broken = torch.cat([x, torch.full_like(x, torch.inf), x], dim=1).requires_grad_()
    y = wide(broken)
    y.sum().backward()
    expected = alone(x)
    for network in (0, 2):
        part = y[:, network * CHANNELS : (network + 1) * CHANNELS]
        torch.testing.assert_close(part, expected, rtol=1e-9, atol=1e-9)
    for parameter in wide.parameters():
        of_network = parameter.grad.view(3, -1)
        assert of_network[0].isfinite().all()
        assert of_network[2].isfinite().all()
