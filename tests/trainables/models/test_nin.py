import dataclasses

import pytest
import torch
from probe_norms import EndsInActivation
from torch import nn
from trial_specs import shrink_trial

import normmods
from trainables import Trial
from trainables.models.layers import NormFactory
from trainables.models.nin import build_nin
from trainables.spec import ModelSpec


def nin(norm: NormFactory = nn.BatchNorm2d, width: int = 192, dropout: float = 0.5) -> nn.Module:
    return build_nin(
        in_channels=3,
        num_classes=100,
        width=width,
        norm=norm,
        norm_on_logits=False,
        dropout=dropout,
    )


def test_every_layer_has_the_tabled_shape() -> None:
    expected = {
        "conv1": (192, 24, 24),
        "conv2": (160, 24, 24),
        "conv3": (96, 24, 24),
        "pool1": (96, 12, 12),
        "conv4": (192, 12, 12),
        "conv5": (192, 12, 12),
        "conv6": (192, 12, 12),
        "pool2": (192, 6, 6),
        "conv7": (192, 6, 6),
        "conv8": (192, 6, 6),
        "conv9": (100, 6, 6),
        "flatten": (100,),
    }
    found = {}
    x = torch.empty(2, 3, 24, 24, device="meta")
    for name, layer in nin().to("meta").named_children():
        x = layer(x)
        found[name] = tuple(x.shape[1:])
    assert {name: found[name] for name in expected} == expected
    assert list(found)[-2:] == ["pool", "flatten"]


def test_parameters_are_those_counted_by_hand() -> None:
    first = 25 * 3 * 192 + 192 * 160 + 160 * 96
    second = 25 * 96 * 192 + 192 * 192 + 192 * 192
    third = 9 * 192 * 192 + 192 * 192 + 192 * 100 + 100
    norms = 2 * (192 + 160 + 96 + 5 * 192)
    count = sum(parameter.numel() for parameter in nin().parameters())
    assert count == first + second + third + norms == 985_764


def test_a_narrow_edition_keeps_the_proportions() -> None:
    model = nin(width=24)
    widths = [model.get_submodule(f"conv{i}").out_channels for i in range(1, 10)]  # type: ignore[union-attr]
    assert widths == [24, 20, 12, 24, 24, 24, 24, 24, 100]


def test_pooling_takes_the_maximum_then_the_mean_of_what_a_window_holds() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    model = nin(width=12)
    assert model.get_submodule("pool1")(x).flatten().tolist() == [10, 11, 14, 15]
    assert model.get_submodule("pool2")(x).flatten().tolist() == [5, 6.5, 11, 12.5]


def test_dropout_follows_the_seeded_stream_and_is_off_in_tests() -> None:
    model = ModelSpec(name="nin", width=12)
    spec = shrink_trial("groupnorm", model=model, epochs=1)
    one, two = Trial(spec), Trial(spec)
    torch.manual_seed(1)
    first = one.run_epoch()
    torch.manual_seed(2)
    second = two.run_epoch()
    assert (first.train_loss, first.test_loss) == (second.train_loss, second.test_loss)
    without = dataclasses.replace(spec, model=dataclasses.replace(model, dropout=0.0))
    assert Trial(without).run_epoch().train_loss != first.train_loss
    assert {one.model.get_submodule(f"dropout{i}").p for i in (1, 2)} == {0.5}  # type: ignore[union-attr]


def test_a_norm_that_ends_in_an_activation_is_followed_by_none() -> None:
    model = nin(EndsInActivation, width=12)
    assert {type(model.get_submodule(f"activation{i}")) for i in range(1, 9)} == {nn.Identity}


@pytest.mark.parametrize("norm", normmods.names())
def test_any_norm_takes_its_place(norm: str) -> None:
    model = normmods.prepare(nin(lambda channels: normmods.build(norm, channels), width=12))
    assert model(torch.rand(4, 3, 24, 24)).shape == (4, 100)
