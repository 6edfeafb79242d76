import math

import pytest
import torch
from torch import nn

from trainables.models.initialise import draw_initial_weights


def test_convolutions_are_normal_with_he_scale_by_fan_out() -> None:
    layer = nn.Conv2d(64, 128, 3)
    draw_initial_weights(layer, norms=[], seed=0)
    weight = layer.weight.detach().double()
    assert weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.02)
    kurtosis = (weight**4).mean() / weight.var() ** 2
    assert kurtosis.item() == pytest.approx(3, abs=0.15)


def test_linear_layers_are_uniform_within_the_root_of_fan_in() -> None:
    layer = nn.Linear(256, 200)
    draw_initial_weights(layer, norms=[], seed=0)
    bound = 1 / math.sqrt(256)
    for values in (layer.weight.detach(), layer.bias.detach()):
        assert values.abs().max() <= bound
        assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_layers_differ_and_seeds_differ() -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        draw_initial_weights(model, norms=[], seed=seed)
        return [model[0].weight, model[1].weight]

    assert torch.equal(weights(0)[0], weights(0)[0])
    assert not torch.equal(weights(0)[0], weights(0)[1])
    assert not torch.equal(weights(0)[0], weights(1)[0])


def test_layers_inside_a_norm_are_left_alone() -> None:
    norm = nn.Sequential(nn.Conv2d(2, 2, 1))
    model = nn.Sequential(nn.Conv2d(1, 2, 1), norm)
    before = norm[0].weight.detach().clone()
    draw_initial_weights(model, norms=[norm], seed=0)
    assert torch.equal(norm[0].weight, before)
