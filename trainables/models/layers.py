"""The layers of which every model consists."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeAlias

from torch import nn

NormFactory: TypeAlias = Callable[[int], nn.Module]
"""`norm(num_channels)` returns a layer from `(B, C, H, W)` to the same shape."""


def build_norm_without_activation(norm: NormFactory, num_channels: int) -> nn.Module:
    """Return the norm's layer for a place without activation: before a residual sum, on logits.

    A layer that ends in an activation omits it there. A factory without a `without_activation`
    builds the same layer as everywhere.
    """
    build: NormFactory = getattr(norm, "without_activation", norm)
    return build(num_channels)


def build_conv(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1
) -> nn.Conv2d:
    """Return a convolution that keeps `H` and `W` at stride 1; it has no bias, the norm has one."""
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)


def build_activation_after(norm: nn.Module) -> nn.Module:
    """Return the activation after a norm: ReLU, or an identity if `norm.replaces_activation`.

    ReLU is not in place: a norm may have saved its output for its backward pass.
    """
    return nn.Identity() if getattr(norm, "replaces_activation", False) else nn.ReLU()


def conv_norm_activation(
    number: int, convolution: nn.Conv2d, norm: NormFactory
) -> dict[str, nn.Module]:
    """Return `conv3`, `norm3` and `activation3`, the layers of convolution number 3, by name."""
    layer = norm(convolution.out_channels)
    return {
        f"conv{number}": convolution,
        f"norm{number}": layer,
        f"activation{number}": build_activation_after(layer),
    }


def conv_pool_logits(
    number: int,
    in_channels: int,
    num_classes: int,
    kernel_size: int,
    norm: NormFactory | None,
) -> dict[str, nn.Module]:
    """Return the layers that map features to logits: a convolution averaged over the map.

    The convolution has a map per class, `(B, num_classes)` after the average. It has a bias, or
    `norm` after it, which then ends in no activation.
    """
    convolution = build_conv(in_channels, num_classes, kernel_size)
    if norm is None:
        convolution = nn.Conv2d(
            in_channels, num_classes, kernel_size, padding=kernel_size // 2, bias=True
        )
    layers: dict[str, nn.Module] = {f"conv{number}": convolution}
    if norm is not None:
        layers[f"norm{number}"] = build_norm_without_activation(norm, num_classes)
    return {**layers, "pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}


def build_sequential(parts: Iterable[dict[str, nn.Module]]) -> nn.Sequential:
    """Return the named layers in one `nn.Sequential`."""
    return nn.Sequential(OrderedDict((name, x) for part in parts for name, x in part.items()))
