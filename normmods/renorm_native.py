"""Batch renormalization by torch's own batch-norm kernels.

r and d are constants to the gradient, so the layer is a batch normalization whose weight is
`weight * r` and whose bias is `weight * d + bias`: one pass for the moments, one for the output,
and torch's own backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from normmods.dispatch import differentiable_gradients
from normmods.norm import to_channels

_batch_norm_backward = torch.ops.aten.native_batch_norm_backward.default


def batch_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance over (B, H, W), (C,) each, without gradient."""
    mean, var = torch.batch_norm_update_stats(x.detach(), None, None, 0.0)
    return mean, var


def differentiable_moments(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return mean and sqrt(biased variance + `eps`) over (B, H, W), (C,) each."""
    var, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
    return mean, (var + eps).sqrt()


def renormalize(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, std: Tensor, r: Tensor, d: Tensor
) -> Tensor:
    """Return weight * ((x - mean) / std * r + d) + bias by plain operations."""
    scale = weight * r / std
    shift = weight * d + bias - mean * scale
    return x * to_channels(scale) + to_channels(shift)


class Renormalize(Function):
    """The renormalization of a batch by its own moments, with hand-written passes.

    `apply(x, weight, bias, mean, std, r, d, eps)`, with all tensors of one dtype. With
    `create_graph=True` the gradients are those of `renormalize`.
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
        eps: float,
    ) -> Tensor:
        """Return weight * ((x - mean) / std * r + d) + bias."""
        scale = weight * r
        shift = torch.addcmul(bias, weight, d)
        y = torch.native_batch_norm(x, scale, shift, mean, std * std, False, 0.0, 0.0)[0]
        ctx.eps = eps
        ctx.save_for_backward(x, scale, mean, std, r, d, weight, bias)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, weight and bias."""
        x, scale, mean, std, r, d, weight, bias = ctx.saved_tensors
        if torch.is_grad_enabled():

            def formula(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
                return renormalize(x, weight, bias, *differentiable_moments(x, ctx.eps), r, d)

            found = differentiable_gradients(formula, (x, weight, bias), grad)
            return (*found, None, None, None, None, None)
        grad_x, grad_scale, grad_bias = _batch_norm_backward(
            grad, x, scale, None, None, mean, std.reciprocal(), True, 0.0, (True, True, True)
        )
        grad_weight = torch.addcmul(grad_scale * r, grad_bias, d)
        return grad_x, grad_weight, grad_bias, None, None, None, None, None
