import re

import pytest
import torch

from trainables.models import MODELS, ModelInfo, model_info
from trainables.models.build import build_model
from trainables.models.catalog import complete_model_spec
from trainables.spec import ModelSpec


def test_models_are_pinned() -> None:
    resnet = ModelInfo(has_stem=True)
    assert dict(MODELS) == {
        "resnet8": ModelInfo(default_width=16),
        "allcnn": ModelInfo(default_width=96, has_norm_on_logits=True),
        "nin": ModelInfo(default_width=192, default_dropout=0.5, has_norm_on_logits=True),
        "resnet18": resnet,
        "resnet34": resnet,
        "resnet50": resnet,
        "resnet101": resnet,
        "resnet152": resnet,
    }


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("in_channels", [1, 3])
def test_every_model_maps_images_to_logits(name: str, in_channels: int) -> None:
    with torch.device("meta"):
        model = build_model(
            ModelSpec(name=name), in_channels=in_channels, num_classes=7, norm=torch.nn.BatchNorm2d
        )
        assert model(torch.rand(2, in_channels, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ModelSpec(name="resnet9"), "model 'resnet9' is not one of resnet8, allcnn"),
        (ModelSpec(name="resnet18", width=8), "resnet18 has no option width, but got width=8"),
        (ModelSpec(name="resnet8", stem="imagenet"), "resnet8 has no option stem"),
        (ModelSpec(name="allcnn", dropout=0.5), "allcnn has no option dropout, but got dropout=0."),
        (ModelSpec(name="resnet8", norm_on_logits=True), "resnet8 has no option norm_on_logits"),
    ],
)
def test_what_a_model_does_not_read_is_refused(spec: ModelSpec, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        model_info(spec)


@pytest.mark.parametrize(
    ("spec", "complete"),
    [
        (ModelSpec(name="resnet8"), ModelSpec(name="resnet8", width=16)),
        (ModelSpec(name="nin"), ModelSpec(name="nin", width=192, dropout=0.5)),
        (ModelSpec(name="nin", dropout=0.0), ModelSpec(name="nin", width=192, dropout=0.0)),
        (ModelSpec(name="resnet8", width=4), ModelSpec(name="resnet8", width=4)),
        (ModelSpec(name="resnet18"), ModelSpec(name="resnet18")),
    ],
)
def test_what_is_left_out_is_the_models_own(spec: ModelSpec, complete: ModelSpec) -> None:
    assert complete_model_spec(spec) == complete
