"""AssocNorm by torch's own group-norm kernels, with a hand-written gradient."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from normmods.assoc_formula import (
    FormulaOptions,
    apply_maps,
    associate_normalize,
    join_networks,
    split_networks,
)
from normmods.dispatch import differentiable_gradients

_MAX_SMALL_VALUES = 2**16
"""Values up to which a pass over a map costs less than the arithmetic that would save the pass."""

_aten = torch.ops.aten
_group_norm_backward = _aten.native_group_norm_backward.default
_sigmoid_backward_ = _aten.sigmoid_backward.grad_input
_tanh_backward_ = _aten.tanh_backward.grad_input
_relu_backward_ = _aten.threshold_backward.grad_input


class Associate(Function):
    """The formula of AssocNorm with hand-written forward and backward passes.

    `apply(x, encoder, weight_decoder, bias_decoder, weight, bias, form)`, with x contiguous and
    all tensors of one dtype. Pairs of tensors that the formula treats alike (the statistics that
    key the scale and the shift, the two decoders, ...) are stacked, the scale's first. Of S
    networks side by side (`Norm.widened`) only the three maps, (S M, N) and (S N, M), differ by
    network. With `create_graph=True` the gradients are those of
    `normmods.assoc_formula.associate_normalize`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        encoder: Tensor,
        weight_decoder: Tensor,
        bias_decoder: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        form: FormulaOptions,
    ) -> Tensor:
        """Return AssocNorm's output for `x`, contiguous, and keep what the backward pass needs."""
        batch, channels, height, width = x.shape
        y, mean, rstd = torch.native_group_norm(
            x, None, None, batch, channels, height * width, form.num_groups, form.eps
        )
        var = rstd.pow(-2).sub_(form.eps)
        keys = torch.stack((var, mean) if form.swapped else (mean, var))
        hidden = apply_maps(keys, encoder, form.num_networks).relu_()
        decoders = torch.stack((weight_decoder, bias_decoder))
        decoded = _apply_both_maps(hidden, decoders, form.num_networks)
        learned = None
        if weight is not None and bias is not None:
            learned = torch.stack((weight, bias)).view(2, 1, form.num_groups, -1)
        activated, rescaling = _combine_learned_stacked(decoded, learned, form.entry, channels)
        _rescale_(y, rescaling[0], rescaling[1])
        ctx.form = form
        ctx.save_for_backward(
            *(x, encoder, decoders, keys, rstd, hidden, activated, learned, rescaling[0]),
            *(weight_decoder, bias_decoder, weight, bias),
        )
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of all inputs but `form`."""
        x, encoder, decoders, keys, rstd, hidden, activated, learned, scale = ctx.saved_tensors[:9]
        if torch.is_grad_enabled():
            inputs = (x, encoder, *ctx.saved_tensors[9:])
            found = differentiable_gradients(
                partial(associate_normalize, form=ctx.form), inputs, grad
            )
            return (*found, None)
        batch, channels, height, width = x.shape
        form, area = ctx.form, height * width
        groups, networks, mean_at = form.num_groups, form.num_networks, int(form.swapped)
        mean, grad = keys[mean_at], grad.contiguous()
        small = x.numel() <= _MAX_SMALL_VALUES
        # One example whose channels are all (example, channel) pairs, so that scales may differ.
        flat = (1, batch * channels, area, batch * groups)
        native, grad_scale, grad_shift = _group_norm_backward(
            grad, x, mean.view(1, -1), rstd.view(1, -1), scale, *flat, (small, True, True)
        )
        grads = torch.stack((grad_scale, grad_shift)).view(2, batch, groups, -1)
        projected = None if small else (grads * scale.view(batch, groups, -1)).sum(3)
        grad_decoded, grad_learned = _combine_learned_stacked_backward(
            grads, activated, learned, form.entry
        )
        grad_hidden = _gradient_of_rows(grad_decoded, decoders, networks)
        _relu_backward_(grad_hidden, hidden, 0, grad_input=grad_hidden)
        # What the statistics pass on, divided by the number of values behind each.
        share = groups / (channels * area)
        passed = _gradient_of_rows(grad_hidden, encoder, networks).mul_(share)
        slope, level = passed[1 - mean_at], passed[mean_at]
        if projected is None:
            grad_x = _add_affine_(native, x, mean, slope + slope, level)
        else:
            slope = torch.addcmul(slope, projected[0], rstd * rstd, value=-share / 2)
            level = torch.addcmul(level, projected[1], rstd, value=-share)
            scale = scale.view(batch, groups, -1) * rstd.unsqueeze(2)
            grad_x = _affine_gradient(grad, scale, x, mean, slope + slope, level)
        grad_encoder = _gradient_of_maps(grad_hidden, keys, networks).sum(0)
        of_decoders = _gradient_of_maps(grad_decoded, hidden, networks)
        learned_grads = (None, None) if grad_learned is None else grad_learned.unbind()
        return grad_x, grad_encoder, of_decoders[0], of_decoders[1], *learned_grads, None


def _apply_both_maps(rows: Tensor, maps: Tensor, networks: int) -> Tensor:
    """Return (2, B, S I) rows, each half through its own maps, (2, S O, I), as (2, B, S O)."""
    return torch.bmm(rows, maps.mT) if networks == 1 else apply_maps(rows, maps, networks)


def _gradient_of_rows(grads: Tensor, maps: Tensor, networks: int) -> Tensor:
    """Return the gradient of the rows of `apply_maps`, (2, B, S I), from that of its result."""
    if networks == 1:
        return torch.matmul(grads, maps)
    return join_networks(
        split_networks(grads, networks) @ torch.unflatten(maps, -2, (networks, -1))
    )


def _gradient_of_maps(grads: Tensor, rows: Tensor, networks: int) -> Tensor:
    """Return the gradient of the maps of `apply_maps`, (2, S O, I)."""
    if networks == 1:
        return torch.bmm(grads.mT, rows)
    return (split_networks(grads, networks).mT @ split_networks(rows, networks)).flatten(1, 2)


def _add_affine_(grad_x: Tensor, x: Tensor, mean: Tensor, slope: Tensor, level: Tensor) -> Tensor:
    """Add `slope (x - mean) + level`, (B, N) each, to `grad_x` in place and return `grad_x`."""
    rows = (*mean.shape, -1)
    offset = torch.addcmul(level, slope, mean, value=-1)
    grad_x.view(rows).addcmul_(x.view(rows), slope.unsqueeze(2)).add_(offset.unsqueeze(2))
    return grad_x


def _affine_gradient(
    grad: Tensor, scale: Tensor, x: Tensor, mean: Tensor, slope: Tensor, level: Tensor
) -> Tensor:
    """Return `scale grad + slope (x - mean) + level` in two passes, scale (B, N, C / N)."""
    offset = torch.addcmul(level, slope, mean, value=-1)
    zeros = torch.zeros_like(offset).view(-1)
    grad_x = torch.native_batch_norm(
        x.view(1, zeros.shape[0], -1, 1),
        slope.view(-1),
        offset.view(-1),
        *_identity_statistics(zeros),
    )[0]
    rows = (*scale.shape, -1)
    grad_x.view(rows).addcmul_(grad.view(rows), scale.unsqueeze(3))
    return grad_x.view(x.shape)


def _rescale_(y: Tensor, scale: Tensor, shift: Tensor) -> None:
    """Scale and shift every (example, channel) of y, (B * C,) each, in place and in one pass."""
    zeros = torch.zeros_like(scale)
    rows, unused = y.view(1, scale.shape[0], -1, 1), zeros[:0]
    torch.native_batch_norm(
        rows, scale, shift, *_identity_statistics(zeros), out=(rows, unused, unused)
    )


def _identity_statistics(zeros: Tensor) -> tuple[Tensor, Tensor, bool, float, float]:
    """Return arguments with which batch normalization only scales and shifts: mean 0, var 1."""
    return zeros, zeros, False, 0.0, 1.0


def _combine_learned_stacked(
    decoded: Tensor, learned: Tensor | None, entry: str, channels: int
) -> tuple[Tensor, Tensor]:
    """Return the values of sigmoid and tanh, and AssocNorm's scale and shift, stacked (2, B * C).

    Computed from the autoencoder's result `decoded`, (2, B, N), and the parameters `learned`. The
    backward pass needs the first value. The stacked form of
    `normmods.assoc_formula._combine_learned`.
    """
    if learned is None:
        activated = _activate_(decoded)
        repeats = channels // decoded.shape[2]
        return activated, activated.repeat_interleave(repeats, dim=2).view(2, -1)
    if entry == "before":
        activated = _activate_(decoded.unsqueeze(3) + learned)
        return activated, activated.view(2, -1)
    activated = _activate_(decoded)
    if entry == "multiply":
        return activated, (activated.unsqueeze(3) * learned).view(2, -1)
    return activated, (activated.unsqueeze(3) + learned).view(2, -1)


def _combine_learned_stacked_backward(
    grads: Tensor, activated: Tensor, learned: Tensor | None, entry: str
) -> tuple[Tensor, Tensor | None]:
    """Return gradients of `decoded`, (2, B, N), and of `learned`, (2, C), from (2, B, N, C / N)."""
    if learned is None:
        return _activation_backward_(grads.sum(3), activated), None
    if entry == "before":
        grads = _activation_backward_(grads, activated)
        return grads.sum(3), grads.sum(1).view(2, -1)
    if entry == "multiply":
        grad_learned = (grads * activated.unsqueeze(3)).sum(1).view(2, -1)
        return _activation_backward_((grads * learned).sum(3), activated), grad_learned
    grad_learned = grads.sum(1).view(2, -1)
    return _activation_backward_(grads.sum(3), activated), grad_learned


def _activate_(stacked: Tensor) -> Tensor:
    """Apply the sigmoid to the first and tanh to the second half, in place."""
    stacked[0].sigmoid_()
    stacked[1].tanh_()
    return stacked


def _activation_backward_(grads: Tensor, activated: Tensor) -> Tensor:
    """Multiply the gradients by the derivatives of sigmoid and tanh, in place."""
    of_scale, of_shift = grads[0], grads[1]
    _sigmoid_backward_(of_scale, activated[0], grad_input=of_scale)
    _tanh_backward_(of_shift, activated[1], grad_input=of_shift)
    return grads
