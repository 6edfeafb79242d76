"""AssocNorm's formula by plain operations, the reference of the native kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from normmods.norm import to_channels

Activation = Callable[[Tensor], Tensor]


class FormulaOptions(NamedTuple):
    """The options of an AssocNorm that decide its formula.

    Attributes:
        num_groups: groups of all networks together.
        eps: added to the variance.
        entry: how weight and bias enter: `after`, `before`, `multiply` or `none`.
        swapped: whether the variance makes the scale and the mean the shift.
        num_networks: networks side by side.
    """

    num_groups: int
    eps: float
    entry: str
    swapped: bool
    num_networks: int = 1


def associate_normalize(
    x: Tensor,
    encoder: Tensor,
    weight_decoder: Tensor,
    bias_decoder: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    form: FormulaOptions,
) -> Tensor:
    """Return AssocNorm's output, (B, C, H, W), for `x` in the dtype of the parameters."""
    groups = torch.unflatten(x, 1, (form.num_groups, -1))
    var, mean = torch.var_mean(groups, dim=(2, 3, 4), correction=0)
    key_of_weight, key_of_bias = (var, mean) if form.swapped else (mean, var)

    def decode(
        activation: Activation, key: Tensor, decoder: Tensor, learned: Tensor | None
    ) -> Tensor:
        """Return the scale or shift that the autoencoder decodes from group statistics."""
        hidden = torch.relu(apply_maps(key, encoder, form.num_networks))
        decoded = apply_maps(hidden, decoder, form.num_networks)[..., None]
        return _combine_learned(activation, decoded, learned, form)

    scale = decode(torch.sigmoid, key_of_weight, weight_decoder, weight)
    shift = decode(torch.tanh, key_of_bias, bias_decoder, bias)
    scale = scale / (var + form.eps).sqrt()[..., None]
    shift = shift - mean[..., None] * scale
    return (groups * to_channels(scale) + to_channels(shift)).flatten(1, 2)


def apply_maps(rows: Tensor, maps: Tensor, networks: int) -> Tensor:
    """Return (..., B, S I) rows through each network's own map, (S O, I), as (..., B, S O)."""
    if networks == 1:
        return linear(rows, maps)
    return join_networks(
        split_networks(rows, networks) @ torch.unflatten(maps, -2, (networks, -1)).mT
    )


def split_networks(rows: Tensor, networks: int) -> Tensor:
    """Return the rows of S = `networks` networks, (..., B, S I), as (..., S, B, I)."""
    return torch.unflatten(rows, -1, (networks, -1)).transpose(-3, -2)


def join_networks(rows: Tensor) -> Tensor:
    """Return the rows of S networks, (..., S, B, O), side by side as (..., B, S O)."""
    return rows.transpose(-3, -2).flatten(-2)


def _combine_learned(
    activation: Activation, decoded: Tensor, learned: Tensor | None, form: FormulaOptions
) -> Tensor:
    """Return the scale or shift, (B, N, C / N), from `decoded`, (B, N, 1), and `learned`, (C,)."""
    if learned is None:
        return activation(decoded)
    learned = learned.view(form.num_groups, -1)
    if form.entry == "before":
        return activation(decoded + learned)
    if form.entry == "multiply":
        return activation(decoded) * learned
    return activation(decoded) + learned
