"""The layers that every model is made of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeAlias

from torch import nn

NormFactory: TypeAlias = Callable[[int], nn.Module]
"""`norm(num_channels)` returns a layer from `(B, C, H, W)` to the same shape."""


def without_activation(norm: NormFactory, num_channels: int) -> nn.Module:
    """The norm's layer for a place that no activation follows: before a residual sum, on logits.

    A layer that ends in an activation leaves it out there. A factory that makes no such difference
    (it has no `without_activation`) builds the layer that it builds everywhere.
    """
    build: NormFactory = getattr(norm, "without_activation", norm)
    return build(num_channels)


def conv(in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1) -> nn.Conv2d:
    """A convolution padded to keep `H` and `W` at stride 1; the norm after it has the bias."""
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)


def activation_after(norm: nn.Module) -> nn.Module:
    """ReLU, or nothing where the norm says `replaces_activation = True`.

    Not in place: a norm may have saved its output for its backward pass.
    """
    return nn.Identity() if getattr(norm, "replaces_activation", False) else nn.ReLU()


def normed(number: int, convolution: nn.Conv2d, norm: NormFactory) -> dict[str, nn.Module]:
    """`conv3`, `norm3` and `activation3`: the third convolution of a plain network."""
    layer = norm(convolution.out_channels)
    return {
        f"conv{number}": convolution,
        f"norm{number}": layer,
        f"activation{number}": activation_after(layer),
    }


def pooled_logits(
    number: int,
    in_channels: int,
    num_classes: int,
    kernel_size: int,
    norm: NormFactory | None,
) -> dict[str, nn.Module]:
    """A last convolution with a map per class, averaged over the map to `(B, num_classes)`.

    It has a bias, or `norm` after it, without an activation of its own; no non-linearity follows.
    """
    convolution = conv(in_channels, num_classes, kernel_size)
    if norm is None:
        convolution = nn.Conv2d(
            in_channels, num_classes, kernel_size, padding=kernel_size // 2, bias=True
        )
    layers: dict[str, nn.Module] = {f"conv{number}": convolution}
    if norm is not None:
        layers[f"norm{number}"] = without_activation(norm, num_classes)
    return {**layers, "pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}


def chain(parts: Iterable[dict[str, nn.Module]]) -> nn.Sequential:
    """One layer after the other, under their names."""
    return nn.Sequential(OrderedDict((name, x) for part in parts for name, x in part.items()))
