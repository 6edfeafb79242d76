"""A fused network, held to the models that it is made of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import normmods
from trainables.errors import NotFusable
from trainables.fused.layers import FusedDropout
from trainables.fused.network import FusedNetwork
from trainables.models.build import build_model
from trainables.models.initialise import draw_initial_weights
from trainables.norms import SeededNorms
from trainables.spec import ModelSpec, NormSpec

SEEDS = (0, 1, 2)
MODELS = {
    "resnet8": ModelSpec(name="resnet8", width=4),
    "allcnn": ModelSpec(name="allcnn", width=4, norm_on_logits=True),
    "nin": ModelSpec(name="nin", width=4),
    "resnet18": ModelSpec(name="resnet18"),
}


def model(spec: ModelSpec, norm: NormSpec, seed: int) -> nn.Module:
    norms = SeededNorms(norm, seed=seed)
    built = build_model(spec, in_channels=1, num_classes=5, norm=norms)
    draw_initial_weights(built, norms=norms.built, seed=seed)
    return normmods.prepare(built).double()


def step(network: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """One gradient step of each network; the logits, (S, B, K)."""
    logits = network(x).unflatten(1, (len(labels), -1)).transpose(0, 1)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    (loss / labels.shape[1]).backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 0.05 * parameter.grad
                parameter.grad = None
    return logits.detach()


def compare(spec: ModelSpec, norm: NormSpec, *, steps: int = 3) -> None:
    alone, parts = ([model(spec, norm, seed) for seed in SEEDS] for _ in range(2))
    fused = FusedNetwork(parts)
    streams = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    for layer in fused.model.modules():
        if isinstance(layer, FusedDropout):
            layer.streams = streams
    states = [torch.Generator().manual_seed(seed).get_state() for seed in SEEDS]
    for _ in range(steps):
        inputs = [torch.randn(4, 1, 16, 16).double() for _ in SEEDS]
        labels = torch.randint(0, 5, (len(SEEDS), 4))
        found = step(fused.model, torch.cat(inputs, 1), labels)
        for place, network in enumerate(alone):
            torch.set_rng_state(states[place])
            expected = step(network, inputs[place], labels[place : place + 1])
            states[place] = torch.get_rng_state()
            torch.testing.assert_close(found[place], expected[0], rtol=1e-9, atol=1e-9)
    for expected_model, part in zip(alone, parts, strict=True):
        expected_state = expected_model.state_dict()
        for name, value in part.state_dict().items():
            torch.testing.assert_close(value, expected_state[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("norm", normmods.names())
def test_every_norm(norm: str) -> None:
    compare(MODELS["resnet8"], NormSpec(name=norm))


@pytest.mark.parametrize("name", MODELS)
def test_every_model(name: str) -> None:
    compare(MODELS[name], NormSpec(name="groupnorm_ws"), steps=2)


class Scaled(nn.Module):
    """Somebody's layer, which knows nothing of networks side by side."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(num_channels, 1, 1))
        self.register_buffer("mean", torch.zeros(num_channels))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean.lerp_(x.detach().mean((0, 2, 3)), 0.1)
            self.count += 1
        return self.scale * (x - self.mean[:, None, None]) / (x.var((1, 2, 3), keepdim=True) + 1)


def test_a_layer_that_torch_can_batch() -> None:
    compare(MODELS["resnet8"], NormSpec(name=f"{__name__}:Scaled"))


class WithParameters(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.conv(x)  # type: ignore[no-any-return]


def test_a_container_with_parameters_is_refused_by_name() -> None:
    models = [nn.Sequential(WithParameters()) for _ in SEEDS]
    with pytest.raises(NotFusable, match=r"^0 \(WithParameters\) has parameters of its own"):
        FusedNetwork(models)
