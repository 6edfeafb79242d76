"""Counts of the parameters that a norm adds, and detection of parameters without a shape."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from normmods.registry import OptionValue, build


def added_parameters(name: str, channels: Iterable[int], /, **options: OptionValue) -> int:
    """Return how many more parameters norms have than BatchNorm's 2 C for each layer.

    The layers are built on the meta device: no memory is used and no random number drawn.

    Args:
        name: a norm's name, as for `build`.
        channels: number of channels of each norm layer of a model.
        **options: options of the norm.

    Raises:
        NormError: the name or an option is wrong.

    Examples:
        >>> added_parameters("groupnorm", [16, 32])
        0
        >>> added_parameters("dynamictanh", [16, 32])
        2
    """
    added = 0
    with torch.device("meta"):
        for num_channels in channels:
            layer = build(name, num_channels, **options)
            added += sum(parameter.numel() for parameter in layer.parameters()) - 2 * num_channels
    return added


def find_lazy_tensor(module: nn.Module) -> str | None:
    """Return the name of the first parameter or buffer without a shape, as lazy layers have."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            return name
    return None
