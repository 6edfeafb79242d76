"""Initial weights of a model's own layers, drawn from one stream per layer.

Convolutions as He et al. (2015) for ReLU with `fan_out`, as torchvision's ResNets; linear layers
and biases uniform within 1 / sqrt(fan_in), as torch. A layer's stream is named by its path, so
the norms in between, with whatever they draw, change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from trainables.seeding import seeded_generator
from trainables.spec import ModelSpec


def set_initial_weights(
    spec: ModelSpec, model: nn.Module, *, norms: Iterable[nn.Module], seed: int
) -> None:
    """Draw the model's initial weights, unless a custom model keeps those it was built with."""
    if spec.initial_weights != "own":
        draw_initial_weights(model, norms=norms, seed=seed)


def draw_initial_weights(model: nn.Module, *, norms: Iterable[nn.Module], seed: int) -> None:
    """Draw the weights of every convolution and linear layer that is in none of `norms`."""
    in_norms = {id(layer) for norm in norms for layer in norm.modules()}
    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and id(layer) not in in_norms:
            _draw_layer_weights(layer, seeded_generator(seed, "init", path))


@torch.no_grad()
def _draw_layer_weights(layer: nn.Conv2d | nn.Linear, stream: torch.Generator) -> None:
    """Draw weight and bias of one layer from `stream`."""
    weight = layer.weight
    bound = 1 / math.sqrt(weight[0].numel())
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu", generator=stream)
    else:
        weight.uniform_(-bound, bound, generator=stream)
    if layer.bias is not None:
        layer.bias.uniform_(-bound, bound, generator=stream)
