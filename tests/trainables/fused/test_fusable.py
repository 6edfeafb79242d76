"""What is refused beforehand: layers that cannot serve several networks, or do so wrongly."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from trial_specs import small_spec

import normmods
from trainables.errors import NotFusable
from trainables.fused.fusable import require_fusable
from trainables.spec import ModelSpec


class Own(nn.Module):
    """Nothing declared: `torch.func` batches it."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        return x / (1 + x.square().mean((1, 2, 3), keepdim=True)) * self.weight[:, None, None]


class ReadsValues(Own):
    """`torch.func` cannot batch a branch on a value."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.mean() > -1e9 else x


class WidensWrongly(Own):
    """Declares an edition of itself that reads across the networks."""

    def widened(self, num_networks: int) -> nn.Module:
        return Own(num_networks * len(self.weight))


@pytest.fixture(autouse=True)
def own_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_layers")
    for layer in (Own, ReadsValues, WidensWrongly):
        setattr(module, layer.__name__, layer)
    monkeypatch.setitem(sys.modules, "own_layers", module)


@pytest.mark.parametrize("norm", normmods.names())
def test_every_norm_can_be_fused(norm: str) -> None:
    require_fusable(small_spec(norm, model=ModelSpec(name="resnet8", width=8)))


@pytest.mark.parametrize("model", ["resnet18", "allcnn", "nin"])
def test_every_model_can_be_fused(model: str) -> None:
    require_fusable(small_spec(model=ModelSpec(name=model)))


def test_a_layer_that_torch_can_batch() -> None:
    require_fusable(small_spec("own_layers:Own"))


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("ReadsValues", "side by side the networks fail: RuntimeError: vmap"),
        ("WidensWrongly", "side by side the networks say something else when trained"),
    ],
)
def test_what_cannot_serve_several_networks(layer: str, why: str) -> None:
    with pytest.raises(NotFusable, match=why):
        require_fusable(small_spec(f"own_layers:{layer}"))
