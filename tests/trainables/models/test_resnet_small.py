import pytest
import torch
import torch.nn.functional as F
from probe_norms import EndsInActivation, SavesOutput
from torch import Tensor, nn

from trainables.models.layers import NormFactory
from trainables.models.resnet_small import SmallResNet


def resnet8(norm: NormFactory, *, in_channels: int = 1, width: int = 4) -> SmallResNet:
    return SmallResNet(1, in_channels=in_channels, num_classes=10, width=width, norm=norm)


def plain_forward(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """resnet8 with batch normalization, written out with functions alone."""

    def conv_norm(x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{conv}.weight"]
        x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        scale, shift = weights[f"{norm}.weight"], weights[f"{norm}.bias"]
        return F.batch_norm(x, None, None, scale, shift, training=True)

    x = conv_norm(x, "conv1", "norm1").relu()
    for stage, stride in (("stage1.0", 1), ("stage2.0", 2), ("stage3.0", 2)):
        y = conv_norm(x, f"{stage}.conv1", f"{stage}.norm1", stride).relu()
        y = conv_norm(y, f"{stage}.conv2", f"{stage}.norm2")
        if f"{stage}.shortcut.0.weight" in weights:
            x = conv_norm(x, f"{stage}.shortcut.0", f"{stage}.shortcut.1", stride)
        x = (x + y).relu()
    return x.mean((2, 3)) @ weights["fc.weight"].T + weights["fc.bias"]


@pytest.mark.parametrize(("in_channels", "size"), [(1, 8), (1, 28), (3, 32)])
def test_logits_are_those_of_the_network_written_out(in_channels: int, size: int) -> None:
    model = resnet8(nn.BatchNorm2d, in_channels=in_channels).double()
    images = torch.rand(3, in_channels, size, size, dtype=torch.double)
    expected = plain_forward(dict(model.named_parameters()), images)
    torch.testing.assert_close(model(images), expected)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_weighted_layers_are_six_a_block_and_two(blocks: int) -> None:
    model = SmallResNet(blocks, in_channels=1, num_classes=10, width=4, norm=nn.BatchNorm2d)
    weighted = [
        path
        for path, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "shortcut" not in path
    ]
    assert len(weighted) == 6 * blocks + 2


def test_a_small_image_is_still_a_map_in_the_last_stage() -> None:
    sizes = []
    model = resnet8(nn.BatchNorm2d, width=16)
    model.stage3.register_forward_hook(lambda _m, _i, out: sizes.append(out.shape))
    model(torch.rand(2, 1, 8, 8))
    assert sizes == [(2, 64, 2, 2)]


def test_only_activations_after_sums_stay_beside_a_norm_that_activates() -> None:
    def num_relus(norm: NormFactory) -> int:
        return sum(isinstance(layer, nn.ReLU) for layer in resnet8(norm).modules())

    assert num_relus(nn.BatchNorm2d) == 7
    assert num_relus(EndsInActivation) == 3


def test_a_norm_may_save_its_output() -> None:
    resnet8(SavesOutput)(torch.rand(2, 1, 8, 8)).sum().backward()
