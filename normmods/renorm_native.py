"""Batch renormalization over torch's own batch-norm kernels.

r and d are constants to the gradient, so the layer is a batch normalization whose weight is
`weight * r` and whose bias is `weight * d + bias`: one pass for the moments, one for the output,
and torch's own backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from normmods.norm import refuse_second_derivative

_batch_norm_backward = torch.ops.aten.native_batch_norm_backward.default


def batch_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of (B, H, W), (C,) each, outside of the gradient."""
    mean, var = torch.batch_norm_update_stats(x.detach(), None, None, 0.0)
    return mean, var


class Renormalize(Function):
    """`apply(x, weight, bias, mean, std, r, d)`, the moments being those of x itself.

    All in one dtype. Differentiable once: a second derivative raises `RuntimeError`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        std: Tensor,
        r: Tensor,
        d: Tensor,
    ) -> Tensor:
        """weight * ((x - mean) / std * r + d) + bias."""
        scale = weight * r
        shift = torch.addcmul(bias, weight, d)
        y = torch.native_batch_norm(x, scale, shift, mean, std * std, False, 0.0, 0.0)[0]
        ctx.save_for_backward(x, scale, mean, std, r, d)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and bias."""
        refuse_second_derivative("batch renormalization")
        x, scale, mean, std, r, d = ctx.saved_tensors
        grad_x, grad_scale, grad_bias = _batch_norm_backward(
            grad, x, scale, None, None, mean, std.reciprocal(), True, 0.0, (True, True, True)
        )
        grad_weight = torch.addcmul(grad_scale * r, grad_bias, d)
        return grad_x, grad_weight, grad_bias, None, None, None, None
