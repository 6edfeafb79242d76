import pytest
import torch
import torchvision
from probe_norms import EndsInActivation, WithLinear
from torch import nn

from trainables.models.resnet import build_resnet


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_parameters_are_those_of_torchvision(name: str) -> None:
    with torch.device("meta"):
        ours = build_resnet(
            name, in_channels=3, num_classes=1000, stem="imagenet", norm=nn.BatchNorm2d
        )
        reference = torchvision.models.get_model(name, weights=None)
    shapes = {key: value.shape for key, value in ours.state_dict().items()}
    assert shapes == {key: value.shape for key, value in reference.state_dict().items()}


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_logits_and_gradients_are_those_of_torchvision(name: str) -> None:
    reference = torchvision.models.get_model(name, weights=None, num_classes=5)
    ours = build_resnet(name, in_channels=3, num_classes=5, stem="imagenet", norm=nn.BatchNorm2d)
    ours.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for model in (ours, reference):
        model(images).square().sum().backward()
    torch.testing.assert_close(ours(images), reference(images))
    for (path, parameter), other in zip(
        ours.named_parameters(), reference.parameters(), strict=True
    ):
        torch.testing.assert_close(parameter.grad, other.grad, msg=lambda m, p=path: f"{p}: {m}")


@pytest.mark.parametrize(("stem", "side"), [("cifar", 4), ("imagenet", 1)])
def test_the_stem_decides_the_last_map(stem: str, side: int) -> None:
    with torch.device("meta"):
        model = build_resnet("resnet18", in_channels=1, num_classes=5, stem=stem, norm=nn.Identity)  # type: ignore[arg-type]
        sizes = []
        model.layer4.register_forward_hook(lambda _m, _i, out: sizes.append(out.shape))  # type: ignore[union-attr]
        model(torch.rand(2, 1, 32, 32))
    assert sizes == [(2, 512, side, side)]


def test_a_norm_keeps_its_own_initial_values() -> None:
    model = build_resnet("resnet18", in_channels=1, num_classes=5, stem="cifar", norm=WithLinear)
    norms = [layer for layer in model.modules() if isinstance(layer, WithLinear)]
    assert len(norms) == 20
    for norm in norms:
        assert (norm.mix.weight == 0.25).all()


def test_norms_without_affine_parameters_are_taken() -> None:
    model = build_resnet(
        "resnet18",
        in_channels=1,
        num_classes=5,
        stem="cifar",
        norm=lambda channels: nn.BatchNorm2d(channels, affine=False),
    )
    assert model.bn1.weight is None


@pytest.mark.parametrize(("name", "sums"), [("resnet18", 8), ("resnet50", 16)])
def test_only_activations_after_sums_stay_beside_a_norm_that_activates(
    name: str, sums: int
) -> None:
    with torch.device("meta"):
        model = build_resnet(
            name, in_channels=1, num_classes=5, stem="cifar", norm=EndsInActivation
        )
        calls = []
        for layer in model.modules():
            if isinstance(layer, nn.ReLU):
                layer.register_forward_hook(lambda *_: calls.append(1))
        model(torch.rand(2, 1, 8, 8))
    assert len(calls) == sums
