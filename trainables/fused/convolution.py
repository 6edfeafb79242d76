"""Convolutions of S networks side by side on a CPU, as batched matrix products where faster.

torch's own convolutions compute groups one after the other. As a product, `bmm` of all receptive
fields with all networks' weights, small convolutions take half the time or less.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

MAX_PRODUCT_OUTPUTS = 128
"""Output positions of a network, over its batch, up to which a product is faster; with a stride,
torch's convolutions are slower, and the limit is this number times the stride squared."""


class Window(NamedTuple):
    """Kernel size, stride and padding of a square convolution, and the size of its input map."""

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
    """S convolutions as one layer: `(B, S in, H, W)` to `(B, S out, H', W')`, differentiable once.

    Args:
        one: a convolution for which `is_supported_convolution` is true.
        num_networks: S.

    Attributes:
        weight: `(S, out, k, k, in)`: the values of one row of a receptive field are contiguous.
        bias: `(S, out)`, or None.
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
    def split_by_model(together: Tensor) -> Tensor:
        """Return a view of a tensor like `weight` whose parts have the shape of `nn.Conv2d`'s."""
        return together.permute(0, 1, 4, 2, 3) if together.dim() == 5 else together

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of each network's map with the network's own weights."""
        height, width = x.shape[2:]
        window = Window(height, width, self.weight.shape[2], self.stride, self.padding)
        if _is_faster_as_product(window, len(x)):
            y: Tensor = _Convolve.apply(*_cast_as_autocast(x, self.weight), window)
        else:
            weight = self.split_by_model(self.weight).flatten(0, 1)
            y = F.conv2d(
                x, weight, None, self.stride, self.padding, groups=len(self.weight)
            ).contiguous()
        return y if self.bias is None else y + self.bias.reshape(1, -1, 1, 1)


def is_supported_convolution(one: nn.Module) -> bool:
    """Whether `FusedConvolution` computes the same as this layer."""
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
    """Whether the matrix product is expected to be faster than torch's convolution."""
    rows, columns = window.out
    few = batch_size * rows * columns <= MAX_PRODUCT_OUTPUTS * window.stride**2
    return few or window.kernel == 1


def _cast_as_autocast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return both tensors in autocast's dtype, which it applies to torch's functions alone."""
    if not torch.is_autocast_enabled("cpu"):
        return x, weight
    dtype = torch.get_autocast_dtype("cpu")
    return x.to(dtype), weight.to(dtype)


class _Convolve(Function):
    """The convolution as a matrix product, with its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, window: Window) -> Tensor:
        """Return the convolution of `x` as a batched matrix product."""
        fields = _receptive_fields(x, len(weight), window)
        ctx.save_for_backward(fields, weight)
        ctx.window = window
        return _rows_to_map(torch.bmm(fields, weight.flatten(2).mT), window.out)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Return the gradients of `x` and `weight`, if needed."""
        fields, weight = ctx.saved_tensors
        networks, out = weight.shape[:2]
        columns = torch.unflatten(grad, 1, (networks, out)).permute(1, 0, 3, 4, 2)
        columns = columns.reshape(networks, -1, out)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[1]:
            grad_weight = torch.bmm(columns.mT, fields).view(weight.shape)
        if ctx.needs_input_grad[0]:
            grad_x = _sum_receptive_fields(
                torch.bmm(columns, weight.flatten(2)), len(grad), ctx.window
            )
        return grad_x, grad_weight, None


def _receptive_fields(x: Tensor, networks: int, window: Window) -> Tensor:
    """Return the receptive field of each output: `(S, B H' W', k k in)`."""
    size, kernel, stride = len(x), window.kernel, window.stride
    maps = torch.unflatten(x, 1, (networks, -1)).permute(1, 0, 3, 4, 2)
    padded = _pad(maps, window)
    channels = maps.shape[-1]
    _, of_image, of_row, of_pixel, _ = padded.stride()
    rows = padded.as_strided(
        (networks, size, *window.out, kernel, kernel * channels),
        (padded.stride(0), of_image, stride * of_row, stride * of_pixel, of_row, 1),
    )
    return rows.reshape(networks, -1, kernel * kernel * channels)


def _pad(maps: Tensor, window: Window) -> Tensor:
    """Return `(S, B, H, W, C)` maps with the window's zeros around them, contiguous."""
    margin = window.padding
    if not margin:
        return maps.contiguous()
    networks, size, height, width, channels = maps.shape
    padded = maps.new_zeros(networks, size, height + 2 * margin, width + 2 * margin, channels)
    padded[:, :, margin:-margin, margin:-margin].copy_(maps)
    return padded


def _sum_receptive_fields(fields: Tensor, size: int, window: Window) -> Tensor:
    """Return the sum over all windows that contain a pixel, `(B, S in, H, W)`.

    The reverse of `_receptive_fields`, for the gradient.
    """
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


def _rows_to_map(rows: Tensor, size: tuple[int, int]) -> Tensor:
    """Return `(S, B H W, C)` as a map `(B, S C, H, W)`."""
    networks, _, channels = rows.shape
    return rows.view(networks, -1, *size, channels).permute(1, 0, 4, 2, 3).flatten(1, 2)
