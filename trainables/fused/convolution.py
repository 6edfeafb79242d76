"""Convolutions of S networks side by side on a CPU, as batched matrix products where that pays.

The convolutions that torch brings compute groups one after the other. As a product, `bmm` of all
receptive fields with all networks' weights, small ones take half the time or less.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

FEW_OUTPUTS = 128
"""Places of a network's map, over its batch, up to which a product is faster; with a stride,
torch's own are slower and it is so up to that many times the stride squared."""


class Window(NamedTuple):
    """Which part of a map each output sees: square windows on a map of `(height, width)`."""

    height: int
    width: int
    kernel: int
    stride: int
    padding: int

    @property
    def out(self) -> tuple[int, int]:
        """Height and width of the output."""
        height, width = (
            (size + 2 * self.padding - self.kernel) // self.stride + 1
            for size in (self.height, self.width)
        )
        return height, width


class FusedConvolution(nn.Module):
    """S convolutions: `(B, S in, H, W)` to `(B, S out, H', W')`.

    Attributes:
        weight: `(S, out, k, k, in)`: what a window holds of a row of the map stands in one piece.
        bias: `(S, out)`, or None.

    Differentiable once.
    """

    def __init__(self, one: nn.Conv2d, num_networks: int) -> None:
        super().__init__()
        out, channels, *kernel = one.weight.shape
        stored = one.weight.detach().new_empty(num_networks, out, *kernel, channels)
        self.weight = nn.Parameter(stored)
        self.bias = None
        if one.bias is not None:
            self.bias = nn.Parameter(one.bias.detach().new_empty(num_networks, out))
        self.stride, self.padding = one.stride[0], int(one.padding[0])

    @staticmethod
    def by_model(together: Tensor) -> Tensor:
        """A view of all networks' `weight` whose parts have the shape that `nn.Conv2d` has."""
        return together.permute(0, 1, 4, 2, 3) if together.dim() == 5 else together

    def forward(self, x: Tensor) -> Tensor:
        """Each network's map through its own weights."""
        height, width = x.shape[2:]
        window = Window(height, width, self.weight.shape[2], self.stride, self.padding)
        if _is_faster_as_product(window, len(x)):
            y: Tensor = _Convolve.apply(*_autocast(x, self.weight), window)
        else:
            weight = self.by_model(self.weight).flatten(0, 1)
            y = F.conv2d(
                x, weight, None, self.stride, self.padding, groups=len(self.weight)
            ).contiguous()
        return y if self.bias is None else y + self.bias.reshape(1, -1, 1, 1)


def as_products(one: nn.Module) -> bool:
    """Whether the products compute what this layer computes."""
    return (
        type(one) is nn.Conv2d
        and not hasattr(one, "parametrizations")
        and one.weight.device.type == "cpu"
        and one.groups == 1
        and one.padding_mode == "zeros"
        and not isinstance(one.padding, str)
        and {*one.dilation} == {1}
        and len({*one.kernel_size}) == len({*one.stride}) == len({*one.padding}) == 1
    )


def _is_faster_as_product(window: Window, batch_size: int) -> bool:
    rows, columns = window.out
    few = batch_size * rows * columns <= FEW_OUTPUTS * window.stride**2
    return few or window.kernel == 1


def _autocast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Both as autocast would hand them to a convolution; it does not know of this one."""
    if not torch.is_autocast_enabled("cpu"):
        return x, weight
    dtype = torch.get_autocast_dtype("cpu")
    return x.to(dtype), weight.to(dtype)


class _Convolve(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, window: Window) -> Tensor:
        fields = _fields(x, len(weight), window)
        ctx.save_for_backward(fields, weight)
        ctx.window = window
        return _map(torch.bmm(fields, weight.flatten(2).mT), window.out)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        fields, weight = ctx.saved_tensors
        networks, out = weight.shape[:2]
        columns = torch.unflatten(grad, 1, (networks, out)).permute(1, 0, 3, 4, 2)
        columns = columns.reshape(networks, -1, out)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[1]:
            grad_weight = torch.bmm(columns.mT, fields).view(weight.shape)
        if ctx.needs_input_grad[0]:
            grad_x = _summed(torch.bmm(columns, weight.flatten(2)), len(grad), ctx.window)
        return grad_x, grad_weight, None


def _fields(x: Tensor, networks: int, window: Window) -> Tensor:
    """What each output sees: `(S, B H' W', k k in)`."""
    size, kernel, stride = len(x), window.kernel, window.stride
    maps = torch.unflatten(x, 1, (networks, -1)).permute(1, 0, 3, 4, 2)
    padded = _padded(maps, window)
    channels = maps.shape[-1]
    _, of_image, of_row, of_pixel, _ = padded.stride()
    rows = padded.as_strided(
        (networks, size, *window.out, kernel, kernel * channels),
        (padded.stride(0), of_image, stride * of_row, stride * of_pixel, of_row, 1),
    )
    return rows.reshape(networks, -1, kernel * kernel * channels)


def _padded(maps: Tensor, window: Window) -> Tensor:
    """`(S, B, H, W, C)` with zeros around it, contiguous."""
    margin = window.padding
    if not margin:
        return maps.contiguous()
    networks, size, height, width, channels = maps.shape
    padded = maps.new_zeros(networks, size, height + 2 * margin, width + 2 * margin, channels)
    padded[:, :, margin:-margin, margin:-margin].copy_(maps)
    return padded


def _summed(fields: Tensor, size: int, window: Window) -> Tensor:
    """The sum over all windows that see a pixel: the reverse of `_fields`, `(B, S in, H, W)`."""
    networks, _, channels = fields.shape
    height, width, kernel, stride, margin = window
    channels //= kernel**2
    total = fields.new_zeros(networks, size, height + 2 * margin, width + 2 * margin, channels)
    of_network, of_image, of_row, of_pixel, _ = total.stride()
    strides = (of_network, of_image, stride * of_row, stride * of_pixel, 1)
    shape = (networks, size, *window.out, channels)
    parts = fields.view(*shape[:-1], -1).split_with_sizes([channels] * kernel**2, -1)
    for place, part in enumerate(parts):
        down, across = divmod(place, kernel)
        total.as_strided(shape, strides, down * of_row + across * of_pixel).add_(part)
    inner = total[:, :, margin : margin + height, margin : margin + width]
    return inner.permute(1, 0, 4, 2, 3).flatten(1, 2)


def _map(rows: Tensor, size: tuple[int, int]) -> Tensor:
    """`(S, B H W, C)` as a map `(B, S C, H, W)`."""
    networks, _, channels = rows.shape
    return rows.view(networks, -1, *size, channels).permute(1, 0, 4, 2, 3).flatten(1, 2)
