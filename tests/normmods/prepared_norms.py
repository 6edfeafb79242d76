"""Registered norms ready to run: prepared, with parameters off their initial values, trained."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

import normmods

NAMES = normmods.names()
CHANNELS = 8
STATEFUL = tuple(
    name for name in NAMES if any(True for _ in normmods.build(name, CHANNELS).buffers())
)


def prepared(name: str, **options: normmods.registry.OptionValue) -> nn.Module:
    """A layer for 8 channels whose parameters have left their initial values."""
    torch.manual_seed(0)
    layer = normmods.prepare(normmods.build(name, CHANNELS, **options))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def batch(step: int = 0, size: int = 4, dtype: torch.dtype = torch.float32) -> Tensor:
    """(size, 8, 5, 3), whose mean and scale change with `step`."""
    generator = torch.Generator().manual_seed(100 + step)
    x = torch.randn(size, CHANNELS, 5, 3, generator=generator)
    return (x * (1 + step % 3) + step % 2).to(dtype)


def trained(layer: nn.Module, steps: int = 3) -> nn.Module:
    """The layer after some training batches, without gradients."""
    dtype = next(layer.parameters()).dtype
    for step in range(steps):
        layer(batch(step, dtype=dtype)).square().sum().backward()
    layer.zero_grad()
    return layer


def state(layer: nn.Module) -> dict[str, Tensor]:
    """A copy of the parameters and buffers."""
    return {name: value.clone() for name, value in layer.state_dict().items()}


def convolutional(name: str, *, eval_statistics: str | None = None) -> nn.Sequential:
    """A model with two norms of this name, each behind a convolution."""
    torch.manual_seed(0)
    options = {} if eval_statistics is None else {"eval_statistics": eval_statistics}
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        normmods.build(name, 8, **options),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, padding=1, bias=False),
        normmods.build(name, 6, **options),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        normmods.prepare(model)
    return model
