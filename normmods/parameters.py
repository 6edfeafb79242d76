"""Counting what a norm adds to a model's parameters, and naming those without a shape."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from normmods.registry import OptionValue, build


def added_parameters(name: str, channels: Iterable[int], /, **options: OptionValue) -> int:
    """Parameters that norms over these channel counts have more than BatchNorm's 2 C each.

    `channels` has an entry for every norm layer of the model; the layers are built on the meta
    device, so nothing is allocated and no random number drawn.

    Raises:
        NormError: the name or an option is wrong.
    """
    added = 0
    with torch.device("meta"):
        for num_channels in channels:
            layer = build(name, num_channels, **options)
            added += sum(parameter.numel() for parameter in layer.parameters()) - 2 * num_channels
    return added


def without_shape(module: nn.Module) -> str | None:
    """The first parameter or buffer of a lazy layer, which has no shape before a first batch."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            return name
    return None
