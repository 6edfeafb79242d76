"""AssocNorm's formula by plain operations: what the native kernels are held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from normmods.norm import to_channels

Activation = Callable[[Tensor], Tensor]


class Form(NamedTuple):
    """The options of an AssocNorm that decide its formula; groups of all networks together."""

    num_groups: int
    eps: float
    entry: str
    swapped: bool
    num_networks: int = 1


def associated(
    x: Tensor,
    encoder: Tensor,
    weight_decoder: Tensor,
    bias_decoder: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    form: Form,
) -> Tensor:
    """The layer's output, (B, C, H, W), for `x` in the dtype of the parameters."""
    groups = torch.unflatten(x, 1, (form.num_groups, -1))
    var, mean = torch.var_mean(groups, dim=(2, 3, 4), correction=0)
    key_of_weight, key_of_bias = (var, mean) if form.swapped else (mean, var)

    def entered(
        activation: Activation, key: Tensor, decoder: Tensor, learned: Tensor | None
    ) -> Tensor:
        hidden = torch.relu(mapped(key, encoder, form.num_networks))
        decoded = mapped(hidden, decoder, form.num_networks)[..., None]
        return _entered(activation, decoded, learned, form)

    scale = entered(torch.sigmoid, key_of_weight, weight_decoder, weight)
    shift = entered(torch.tanh, key_of_bias, bias_decoder, bias)
    scale = scale / (var + form.eps).sqrt()[..., None]
    shift = shift - mean[..., None] * scale
    return (groups * to_channels(scale) + to_channels(shift)).flatten(1, 2)


def mapped(rows: Tensor, maps: Tensor, networks: int) -> Tensor:
    """(..., B, S I) through each network's own map, (S O, I): (..., B, S O)."""
    if networks == 1:
        return linear(rows, maps)
    return joined(apart(rows, networks) @ torch.unflatten(maps, -2, (networks, -1)).mT)


def apart(rows: Tensor, networks: int) -> Tensor:
    """(..., B, S I) as (..., S, B, I)."""
    return torch.unflatten(rows, -1, (networks, -1)).transpose(-3, -2)


def joined(rows: Tensor) -> Tensor:
    """(..., S, B, O) as (..., B, S O)."""
    return rows.transpose(-3, -2).flatten(-2)


def _entered(activation: Activation, decoded: Tensor, learned: Tensor | None, form: Form) -> Tensor:
    """w or b, (B, N, C / N), from what was decoded, (B, N, 1)."""
    if learned is None:
        return activation(decoded)
    learned = learned.view(form.num_groups, -1)
    if form.entry == "before":
        return activation(decoded + learned)
    if form.entry == "multiply":
        return activation(decoded) * learned
    return activation(decoded) + learned
