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
    """A property that does not hold; the one-line message says why."""


@dataclass(frozen=True)
class LayerUnderTest:
    """A layer to be tested: its factory, number of channels and options."""

    factory: Callable[..., nn.Module]
    num_channels: int
    options: Mapping[str, OptionValue]

    def build(self, seed: int = 0, /, **more: OptionValue) -> nn.Module:
        """Return a layer with the values of a seed, and no parameter that is zero everywhere.

        A weight that starts at zero (`nn.init.zeros_(self.weight)`) would hide all that the layer
        computes before multiplying by the weight, an influence between examples for instance.
        """
        layer = self.build_initial(seed, **more)
        _fill_zero_parameters(layer)
        return layer

    def build_initial(self, seed: int = 0, /, **more: OptionValue) -> nn.Module:
        """Return a layer with the initial values of a seed, by default always the same."""
        torch.manual_seed(seed)
        options = {**self.options, **more}
        return prepare(build_layer(self.factory, self.num_channels, options))

    def make_input(
        self, batch: int = 4, height: int = 6, width: int = 5, *, step: int = 0
    ) -> Tensor:
        """Return a reproducible input whose mean and scale change with `step`."""
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(batch, self.num_channels, height, width, generator=generator)
        return x * (1 + step % 5) + step % 3

    def build_trained(self, steps: int = 3) -> nn.Module:
        """Return a layer after `steps` training batches."""
        layer = self.build()
        for step in range(steps):
            backpropagate(layer(self.make_input(step=step)).sum())
        layer.zero_grad()
        return layer


def _fill_zero_parameters(layer: nn.Module) -> None:
    """Give each parameter that is zero everywhere small values, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        # A lazy parameter has no shape yet, and one on the meta device has no values.
        if isinstance(parameter, nn.UninitializedParameter) or parameter.is_meta:
            continue
        if parameter.is_floating_point() and not parameter.any():
            values = 0.1 * torch.randn(parameter.shape, generator=generator, device="cpu")
            with torch.no_grad():
                parameter.copy_(values)


def backpropagate(total: Tensor) -> None:
    """Run the backward pass, if there is a gradient: a layer may have no parameters."""
    if total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]


def state_tensors(layer: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name, including buffers outside the state dict."""
    return {**dict(layer.named_parameters()), **dict(layer.named_buffers())}


def are_equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal in shape and in every value."""
    return a.shape == b.shape and bool(torch.equal(a, b))


def max_difference(a: Tensor, b: Tensor) -> float:
    """Return the greatest absolute difference of two tensors of one shape."""
    return float((a.detach().double() - b.detach().double()).abs().max())
