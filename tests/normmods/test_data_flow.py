"""Convolutions are given to the norms that their outputs reach."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

import normmods
from normmods.errors import WeightFormWarning

X = torch.zeros(2, 3, 8, 8)


def conv(given: int = 8) -> nn.Conv2d:
    return nn.Conv2d(given, 8, 3, padding=1)


def norm(name: str = "groupnorm_ws") -> nn.Module:
    return normmods.build(name, 8)


def reformed(model: nn.Module) -> set[str]:
    """Paths of the convolutions whose weights have been given a form."""
    layers = dict(model.named_modules())
    return {path for path, x in layers.items() if parametrize.is_parametrized(x)}


class Registered(nn.Module):
    """Registers both convolutions before both norms."""

    def __init__(self, name: str = "groupnorm_ws") -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(3), conv()
        self.bn1, self.bn2 = norm(name), norm(name)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))  # type: ignore[no-any-return]


class Uncommon(Registered):
    """By keyword, from a list, in place, within a checkpoint, twice, and without `__call__`."""

    def forward(self, x: Tensor) -> Tensor:
        def block(maps: list[Tensor]) -> Tensor:
            return self.bn1.forward(maps[0].mul_(2).view(2, 8, 64).view(2, 8, 8, 8))  # type: ignore[no-any-return]

        y = checkpoint(block, [self.conv1(input=x)], use_reentrant=False)
        for _ in range(2):
            y = self.bn2(F.dropout(self.conv2.forward(y), 0.1))
        return y  # type: ignore[no-any-return]


class OnlyInTraining(Registered):
    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x))
        return self.bn2(self.conv2(x)) if self.training else x


class PreActivation(nn.Module):
    """Two residual blocks that begin with a norm, and a last norm on the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3)
        self.norms = nn.ModuleList(norm("mabn") for _ in range(5))
        self.convs = nn.ModuleList(conv() for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for i in (0, 2):
            y = self.convs[i](self.norms[i](x).relu())
            x = x + self.convs[i + 1](self.norms[i + 1](y).relu())
        return self.norms[4](x)  # type: ignore[no-any-return]


class TwoBehindOne(Registered):
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return self.bn1(x) + self.bn2(x)  # type: ignore[no-any-return]


class Gated(Registered):
    """A gate from a convolution of its own, as of squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.bn1(self.conv1(x)))
        return self.bn2(x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True))))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [Registered, Uncommon, OnlyInTraining, Gated])
def test_each_norm_gets_the_convolution_before_it(kind: type[nn.Module]) -> None:
    assert reformed(normmods.prepare(kind(), X)) == {"conv1", "conv2"}


def test_every_summand_of_a_residual_sum_gets_the_form() -> None:
    paths = {"stem", *(f"convs.{i}" for i in range(4))}
    assert reformed(normmods.prepare(PreActivation(), X)) == paths


def test_weights_are_centered_in_what_the_network_computes() -> None:
    model = normmods.prepare(Registered("mabn"), X)
    for layer in (model.conv1, model.conv2):
        mean = layer.weight.mean((1, 2, 3))
        torch.testing.assert_close(mean, torch.zeros(8), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("model", "example"), [(TwoBehindOne(), X), (Registered(), None)])
def test_two_norms_behind_one_convolution_are_refused(model: Any, example: Any) -> None:
    which = "conv2" if example is None else "conv1"
    expected = f"the norms 'bn1' and 'bn2' stand behind one convolution, '{which}'"
    with pytest.raises(ValueError, match=re.escape(expected)):
        normmods.prepare(model, example)
    assert not reformed(model)
    with pytest.raises(ValueError, match="`prepared` must hold"):
        model(X)


def test_what_would_become_zero_stays_and_is_named() -> None:
    depthwise = nn.Conv2d(8, 8, 1, groups=8)
    model = nn.Sequential(conv(3), depthwise, norm(), conv(), norm())
    before = depthwise.weight.clone()
    with pytest.warns(WeightFormWarning, match=r"^1 \(Conv2d\) keeps its weights as they are"):
        normmods.prepare(model, X)
    assert reformed(model) == {"3"}
    assert torch.equal(depthwise.weight, before)
    assert model(torch.randn(2, 3, 8, 8)).abs().sum() > 0


def test_a_norm_behind_no_convolution_is_named() -> None:
    model = nn.Sequential(conv(3), norm(), nn.MaxPool2d(2), norm())
    with pytest.warns(WeightFormWarning, match=r"^3 \(GroupNormWS\) has no convolution before it"):
        normmods.prepare(model, X)
    with pytest.raises(ValueError, match="but got none"):
        normmods.prepare(nn.Sequential(nn.ReLU(), normmods.build("groupnorm_ws", 3)), X)


def test_following_a_batch_leaves_the_model_and_torch_as_they_were() -> None:
    model = nn.Sequential(conv(3), norm(), nn.Dropout(), nn.BatchNorm2d(8), OnlyInTraining())
    model[4].conv1 = conv()
    model[3].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    normmods.prepare(model, torch.randn(2, 3, 8, 8, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not model[3].training
    for name, value in before.items():
        held = name.replace("weight", "parametrizations.weight.original")
        found = model.state_dict()
        assert torch.equal(found[name if name in found else held], value)
    assert all("forward" not in vars(layer) for layer in model.modules())
