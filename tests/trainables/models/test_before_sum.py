"""Norms that end in an activation: without it where none follows, as in their authors' code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from trial_specs import shrink_trial

import normmods
from trainables.fused.fusable import require_fusable
from trainables.models.allcnn import build_allcnn
from trainables.models.layers import build_norm_without_activation
from trainables.models.resnet import build_resnet
from trainables.models.resnet_small import BasicBlock
from trainables.norms import SeededNorms
from trainables.spec import ModelSpec, NormSpec

ACTIVATED = ("frn_tlu", "evonorm_b0", "evonorm_s0")


def norms(name: str, **options: Any) -> SeededNorms:
    return SeededNorms(NormSpec(name=name, options=options), seed=0)


def randomised(layer: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer.double()


@pytest.mark.parametrize("name", ACTIVATED)
def test_without_activation_a_layer_is_affine_in_what_its_statistics_leave(name: str) -> None:
    layer = randomised(norms(name).without_activation(3))
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64)
    values, weight, bias = (t.detach().numpy() for t in (x, layer.weight, layer.bias))
    if name == "frn_tlu":  # the normalization stays, the thresholded linear unit goes
        values = values / np.sqrt((values**2).mean((2, 3), keepdims=True) + 1e-6)
    expected = weight[:, None, None] * values + bias[:, None, None]
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-12)
    assert set(dict(layer.named_parameters())) == {"weight", "bias"}
    assert not list(layer.buffers())
    assert not layer.replaces_activation


@pytest.mark.parametrize("name", ACTIVATED)
def test_the_option_keeps_the_non_linearity(name: str) -> None:
    made = norms(name, before_sum="nonlinear")
    assert type(made.without_activation(4)) is type(made(4))
    assert made.built[0].replaces_activation
    with pytest.raises(ValueError, match="`before_sum` must be one of affine, nonlinear"):
        normmods.build(name, 4, before_sum="linear")
    default, other = (
        shrink_trial(name, options={"before_sum": v}) for v in ("affine", "nonlinear")
    )
    assert normmods.complete_options(name, {})["before_sum"] == "affine"
    assert default.trial_id != other.trial_id


def test_a_block_adds_what_its_last_convolution_makes_of_its_input() -> None:
    block = randomised(BasicBlock(2, 4, 1, norm=norms("evonorm_s0", num_groups=2)))
    x = torch.randn(3, 2, 5, 5, dtype=torch.float64)
    y = block.conv2(block.norm1(block.conv1(x)))
    shortcut, affine = block.shortcut[0](x), block.shortcut[1]
    summed = sum(
        w.weight[:, None, None] * v + w.bias[:, None, None]
        for w, v in ((block.norm2, y), (affine, shortcut))
    )
    torch.testing.assert_close(block(x), summed.relu())


@pytest.mark.parametrize(("name", "last"), [("resnet18", "bn2"), ("resnet50", "bn3")])
def test_torchvisions_networks_have_it_at_the_same_places(name: str, last: str) -> None:
    made = norms("evonorm_b0")
    with torch.device("meta"):
        model = build_resnet(name, in_channels=3, num_classes=10, stem="cifar", norm=made)
    for path, layer in model.named_modules():
        if layer in made.built:
            stands_before_sum = path.endswith((last, "downsample.1"))
            assert layer.replaces_activation != stands_before_sum, path


def test_logits_have_no_activation() -> None:
    model = build_allcnn(
        in_channels=1, num_classes=10, width=4, norm=norms("frn_tlu"), norm_on_logits=True
    )
    assert not model.norm9.replaces_activation
    assert float(model(torch.randn(8, 1, 8, 8)).detach().min()) < 0


def test_a_layer_or_factory_that_knows_no_such_places_is_built_as_everywhere() -> None:
    assert isinstance(norms("torch.nn:BatchNorm2d").without_activation(4), nn.BatchNorm2d)
    assert isinstance(build_norm_without_activation(nn.BatchNorm2d, 4), nn.BatchNorm2d)
    assert isinstance(norms("batchnorm").without_activation(4), normmods.BatchNorm)
    made = norms("probe_norms:Activated")
    assert isinstance(made.without_activation(4), nn.BatchNorm2d)
    assert isinstance(made.build_another(made.built[0], 6), nn.BatchNorm2d)
    assert len(made.built) == 1


@pytest.mark.parametrize("name", ACTIVATED)
def test_seeds_side_by_side_agree(name: str) -> None:
    require_fusable(replace(shrink_trial(name), model=ModelSpec(name="resnet8", width=8)))
