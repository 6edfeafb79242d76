"""What is refused beforehand: layers that cannot serve several networks, or do so wrongly."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from trial_specs import shrink_trial

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


class Net(nn.Module):
    """A model of one's own, of layers that all can be fused."""

    def __init__(self, in_channels: int, num_classes: int, norm: Callable[[int], nn.Module]):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 8, 3, padding=1, bias=False)
        self.norm = norm(8)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.mixed(self.norm(self.conv(x)).relu()).mean((2, 3))))

    def mixed(self, x: Tensor) -> Tensor:
        return x


class MixesChannels(Net):
    """No layer shows it: side by side, each network reads the others' channels."""

    def mixed(self, x: Tensor) -> Tensor:
        return x.softmax(1) + x.flip(1)


@pytest.fixture(autouse=True)
def own_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_layers")
    for layer in (Own, ReadsValues, WidensWrongly, Net, MixesChannels):
        setattr(module, layer.__name__, layer)
    monkeypatch.setitem(sys.modules, "own_layers", module)


@pytest.mark.parametrize("norm", normmods.names())
def test_every_norm_can_be_fused(norm: str) -> None:
    require_fusable(shrink_trial(norm, model=ModelSpec(name="resnet8", width=8)))


@pytest.mark.parametrize("model", ["resnet18", "allcnn", "nin"])
def test_every_model_can_be_fused(model: str) -> None:
    require_fusable(shrink_trial(model=ModelSpec(name=model)))


def test_a_layer_that_torch_can_batch() -> None:
    require_fusable(shrink_trial("own_layers:Own"))


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("ReadsValues", "side by side the networks fail: RuntimeError: vmap"),
        ("WidensWrongly", "side by side the networks say something else when trained"),
    ],
)
def test_what_cannot_serve_several_networks(layer: str, why: str) -> None:
    with pytest.raises(NotFusable, match=why):
        require_fusable(shrink_trial(f"own_layers:{layer}"))


def test_a_norm_is_held_to_its_values_in_a_large_model_too() -> None:
    with pytest.raises(NotFusable, match="say something else when trained"):
        require_fusable(shrink_trial("own_layers:WidensWrongly", model=ModelSpec(name="resnet18")))


def test_a_model_of_ones_own_is_held_to_its_values() -> None:
    require_fusable(shrink_trial(model=ModelSpec(name="own_layers:Net")))
    with pytest.raises(NotFusable, match="say something else when trained"):
        require_fusable(shrink_trial(model=ModelSpec(name="own_layers:MixesChannels")))
