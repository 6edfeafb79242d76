import pytest
import torch
import torch.nn.functional as F
from probe_norms import EndsInActivation
from torch import Tensor, nn

import normmods
from trainables.models.allcnn import build_allcnn
from trainables.models.layers import NormFactory


def allcnn(norm: NormFactory = nn.BatchNorm2d, width: int = 96, **options: bool) -> nn.Sequential:
    given = {"norm_on_logits": False, **options}
    return build_allcnn(in_channels=3, num_classes=100, width=width, norm=norm, **given)


def shapes(model: nn.Sequential, size: int) -> dict[str, tuple[int, ...]]:
    """Shape of each named layer's output for two colour images, without arithmetic."""
    with torch.device("meta"):
        x = torch.rand(2, 3, size, size)
        found = {}
        for name, layer in model.to("meta").named_children():
            x = layer(x)
            found[name] = tuple(x.shape[1:])
    return found


def test_every_layer_has_the_tabled_shape() -> None:
    found = shapes(allcnn(), 24)
    channels = [96, 96, 96, 192, 192, 192, 192, 192, 100]
    sizes = [24, 24, 12, 12, 12, 6, 6, 6, 6]
    for number, (width, size) in enumerate(zip(channels, sizes, strict=True), start=1):
        assert found[f"conv{number}"] == (width, size, size)
    assert found["flatten"] == (100,)


def test_parameters_are_those_counted_by_hand() -> None:
    weights = 9 * (3 * 96 + 2 * 96 * 96 + 96 * 192 + 4 * 192 * 192 + 192 * 100)
    norms = 2 * (3 * 96 + 5 * 192)
    bias_of_logits = 100
    count = sum(parameter.numel() for parameter in allcnn().parameters())
    assert count == weights + norms + bias_of_logits == 1_836_868


def test_a_norm_on_the_logits_takes_the_place_of_their_bias() -> None:
    model = allcnn(norm_on_logits=True)
    names = [name for name, _ in model.named_children()]
    assert names[-4:] == ["conv9", "norm9", "pool", "flatten"]
    assert sum(p.numel() for p in model.parameters()) == 1_836_868 - 100 + 2 * 100


def written_out(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    for number in range(1, 9):
        stride = 2 if number in (3, 6) else 1
        x = F.conv2d(x, weights[f"conv{number}.weight"], stride=stride, padding=1)
        scale, shift = weights[f"norm{number}.weight"], weights[f"norm{number}.bias"]
        x = F.batch_norm(x, None, None, scale, shift, training=True).relu()
    return F.conv2d(x, weights["conv9.weight"], weights["conv9.bias"], padding=1).mean((2, 3))


@pytest.mark.parametrize("size", [8, 24])
def test_logits_are_those_of_the_network_written_out(size: int) -> None:
    model = allcnn(width=6).double()
    images = torch.rand(3, 3, size, size, dtype=torch.double)
    expected = written_out(dict(model.named_parameters()), images)
    torch.testing.assert_close(model(images), expected)


def test_a_norm_that_ends_in_an_activation_is_followed_by_none() -> None:
    model = allcnn(EndsInActivation, width=4)
    assert {type(model.get_submodule(f"activation{i}")) for i in range(1, 9)} == {nn.Identity}


@pytest.mark.parametrize("norm", normmods.names())
def test_any_norm_takes_its_place(norm: str) -> None:
    model = normmods.prepare(allcnn(lambda channels: normmods.build(norm, channels), width=8))
    assert model(torch.rand(4, 3, 24, 24)).shape == (4, 100)
