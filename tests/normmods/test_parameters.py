from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

import normmods

# The paper's Table 4, exact from the definition: parameters, added by group, added by channel.
EXPECTED = {
    "resnet18": (11689512, 3840, 326400),
    "resnet34": (21797672, 6912, 536832),
    "resnet50": (25557032, 10176, 5289216),
    "resnet101": (44549160, 19968, 9049344),
    "resnet152": (60192808, 29760, 12145920),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_assocnorm_adds_what_the_paper_says(name: str) -> None:
    with torch.device("meta"):
        model = getattr(models, name)()
    channels = [m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    base, by_group, by_channel = EXPECTED[name]
    assert sum(parameter.numel() for parameter in model.parameters()) == base
    assert normmods.added_parameters("assocnorm", channels) == by_group
    assert normmods.added_parameters("assocnorm", channels, key_features="channel") == by_channel


def test_counting_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    assert normmods.added_parameters("batchnorm", [8, 16]) == 0
    assert normmods.added_parameters("dynamictanh", [8, 16]) == 2
    assert torch.equal(torch.get_rng_state(), before)
