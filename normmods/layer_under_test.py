"""A norm layer under test: how `normmods.properties` builds, feeds and compares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from normmods.import_path import build_layer
from normmods.registry import OptionValue
from normmods.weight_forms import prepare


class Violation(Exception):  # noqa: N818 - it is a finding, not an error
    """A property does not hold; the message says why, in one line."""


@dataclass(frozen=True)
class Subject:
    """A layer under test: how to build it, for how many channels."""

    factory: Callable[..., nn.Module]
    num_channels: int
    options: Mapping[str, OptionValue]

    def build(self, seed: int = 0, /, **more: OptionValue) -> nn.Module:
        """A layer with the initial values of a seed, by default always the same."""
        torch.manual_seed(seed)
        options = {**self.options, **more}
        return prepare(build_layer(self.factory, self.num_channels, options))

    def input(self, batch: int = 4, height: int = 6, width: int = 5, *, step: int = 0) -> Tensor:
        """A reproducible input whose mean and scale move with `step`."""
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(batch, self.num_channels, height, width, generator=generator)
        return x * (1 + step % 5) + step % 3

    def trained(self, steps: int = 3) -> nn.Module:
        """A layer after some training batches."""
        layer = self.build()
        for step in range(steps):
            backward(layer(self.input(step=step)).sum())
        layer.zero_grad()
        return layer


def backward(total: Tensor) -> None:
    """The backward pass, where there is something to learn: a layer may have no parameters."""
    if total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]


def tensors(layer: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, those outside of the state dict too."""
    return {**dict(layer.named_parameters()), **dict(layer.named_buffers())}


def same(a: Tensor, b: Tensor) -> bool:
    """Equal in shape and in every value."""
    return a.shape == b.shape and bool(torch.equal(a, b))


def difference(a: Tensor, b: Tensor) -> float:
    """The greatest absolute difference of two tensors of one shape."""
    return float((a.detach().double() - b.detach().double()).abs().max())
