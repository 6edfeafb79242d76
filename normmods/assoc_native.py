"""AssocNorm over torch's own group-norm kernels, with the gradient written by hand.

Plain autograd passes over the map a dozen times each way. Here the map is read by four native
kernels alone; everything between them works on (B, N) statistics and (B, C) rescalings.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from normmods.assoc_formula import Form, apart, associated, joined, mapped
from normmods.dispatch import differentiable_gradients

_SMALL = 2**16
"""Values up to which a pass over a map costs less than the arithmetic that saves it."""

_aten = torch.ops.aten
_group_norm_backward = _aten.native_group_norm_backward.default
_sigmoid_backward_ = _aten.sigmoid_backward.grad_input
_tanh_backward_ = _aten.tanh_backward.grad_input
_relu_backward_ = _aten.threshold_backward.grad_input


class Associate(Function):
    """`apply(x, encoder, weight_decoder, bias_decoder, weight, bias, form)`, x contiguous.

    All in one dtype. Pairs of tensors that the formula treats alike (the statistics that key the
    scale and the shift, the two decoders, ...) are stacked, the scale's first. Of S networks side
    by side (`Norm.widened`) only the three maps, (S M, N) and (S N, M), tell one from another.
    With `create_graph=True` the gradients are those of `normmods.assoc_formula.associated`.
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
        form: Form,
    ) -> Tensor:
        """The layer's output, contiguous."""
        batch, channels, height, width = x.shape
        y, mean, rstd = torch.native_group_norm(
            x, None, None, batch, channels, height * width, form.num_groups, form.eps
        )
        var = rstd.pow(-2).sub_(form.eps)
        keys = torch.stack((var, mean) if form.swapped else (mean, var))
        hidden = mapped(keys, encoder, form.num_networks).relu_()
        decoders = torch.stack((weight_decoder, bias_decoder))
        decoded = _mapped_each(hidden, decoders, form.num_networks)
        learned = None
        if weight is not None and bias is not None:
            learned = torch.stack((weight, bias)).view(2, 1, form.num_groups, -1)
        activated, rescaling = _enter(decoded, learned, form.entry, channels)
        _rescale_(y, rescaling[0], rescaling[1])
        ctx.form = form
        ctx.save_for_backward(
            *(x, encoder, decoders, keys, rstd, hidden, activated, learned, rescaling[0]),
            *(weight_decoder, bias_decoder, weight, bias),
        )
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all inputs but `form`."""
        x, encoder, decoders, keys, rstd, hidden, activated, learned, scale = ctx.saved_tensors[:9]
        if torch.is_grad_enabled():
            inputs = (x, encoder, *ctx.saved_tensors[9:])
            found = differentiable_gradients(partial(associated, form=ctx.form), inputs, grad)
            return (*found, None)
        batch, channels, height, width = x.shape
        form, area = ctx.form, height * width
        groups, networks, mean_at = form.num_groups, form.num_networks, int(form.swapped)
        mean, grad = keys[mean_at], grad.contiguous()
        small = x.numel() <= _SMALL
        # One example whose channels are all (example, channel) pairs, so that scales may differ.
        flat = (1, batch * channels, area, batch * groups)
        native, grad_scale, grad_shift = _group_norm_backward(
            grad, x, mean.view(1, -1), rstd.view(1, -1), scale, *flat, (small, True, True)
        )
        grads = torch.stack((grad_scale, grad_shift)).view(2, batch, groups, -1)
        projected = None if small else (grads * scale.view(batch, groups, -1)).sum(3)
        grad_decoded, grad_learned = _enter_backward(grads, activated, learned, form.entry)
        grad_hidden = _mapped_back(grad_decoded, decoders, networks)
        _relu_backward_(grad_hidden, hidden, 0, grad_input=grad_hidden)
        # What the statistics pass on, divided by the number of values behind each.
        share = groups / (channels * area)
        passed = _mapped_back(grad_hidden, encoder, networks).mul_(share)
        slope, level = passed[1 - mean_at], passed[mean_at]
        if projected is None:
            grad_x = _add_affine_(native, x, mean, slope + slope, level)
        else:
            slope = torch.addcmul(slope, projected[0], rstd * rstd, value=-share / 2)
            level = torch.addcmul(level, projected[1], rstd, value=-share)
            scale = scale.view(batch, groups, -1) * rstd.unsqueeze(2)
            grad_x = _affine(grad, scale, x, mean, slope + slope, level)
        grad_encoder = _map_gradients(grad_hidden, keys, networks).sum(0)
        of_decoders = _map_gradients(grad_decoded, hidden, networks)
        learned_grads = (None, None) if grad_learned is None else grad_learned.unbind()
        return grad_x, grad_encoder, of_decoders[0], of_decoders[1], *learned_grads, None


def _mapped_each(rows: Tensor, maps: Tensor, networks: int) -> Tensor:
    """(2, B, S I), each through maps of its own, (2, S O, I): (2, B, S O)."""
    return torch.bmm(rows, maps.mT) if networks == 1 else mapped(rows, maps, networks)


def _mapped_back(grads: Tensor, maps: Tensor, networks: int) -> Tensor:
    """The gradient of `mapped`'s rows, (2, B, S I), from that of its result."""
    if networks == 1:
        return torch.matmul(grads, maps)
    return joined(apart(grads, networks) @ torch.unflatten(maps, -2, (networks, -1)))


def _map_gradients(grads: Tensor, rows: Tensor, networks: int) -> Tensor:
    """The gradient of `mapped`'s maps, (2, S O, I)."""
    if networks == 1:
        return torch.bmm(grads.mT, rows)
    return (apart(grads, networks).mT @ apart(rows, networks)).flatten(1, 2)


def _add_affine_(grad_x: Tensor, x: Tensor, mean: Tensor, slope: Tensor, level: Tensor) -> Tensor:
    """Adds `slope (x - mean) + level`, (B, N) each, to `grad_x` in place."""
    rows = (*mean.shape, -1)
    offset = torch.addcmul(level, slope, mean, value=-1)
    grad_x.view(rows).addcmul_(x.view(rows), slope.unsqueeze(2)).add_(offset.unsqueeze(2))
    return grad_x


def _affine(
    grad: Tensor, scale: Tensor, x: Tensor, mean: Tensor, slope: Tensor, level: Tensor
) -> Tensor:
    """`scale grad + slope (x - mean) + level`, scale (B, N, C / N), in two passes over maps."""
    offset = torch.addcmul(level, slope, mean, value=-1)
    zeros = torch.zeros_like(offset).view(-1)
    grad_x = torch.native_batch_norm(
        x.view(1, zeros.shape[0], -1, 1), slope.view(-1), offset.view(-1), *_identity(zeros)
    )[0]
    rows = (*scale.shape, -1)
    grad_x.view(rows).addcmul_(grad.view(rows), scale.unsqueeze(3))
    return grad_x.view(x.shape)


def _rescale_(y: Tensor, scale: Tensor, shift: Tensor) -> None:
    """Scales and shifts every (example, channel) of y, (B * C,) each, in place and in one pass."""
    zeros = torch.zeros_like(scale)
    rows, unused = y.view(1, scale.shape[0], -1, 1), zeros[:0]
    torch.native_batch_norm(rows, scale, shift, *_identity(zeros), out=(rows, unused, unused))


def _identity(zeros: Tensor) -> tuple[Tensor, Tensor, bool, float, float]:
    """What makes test-time batch normalization scale and shift alone: mean 0, variance + eps 1."""
    return zeros, zeros, False, 0.0, 1.0


def _enter(
    decoded: Tensor, learned: Tensor | None, entry: str, channels: int
) -> tuple[Tensor, Tensor]:
    """The activated values, and scale and shift stacked, (2, B * C), of (2, B, N) `decoded`."""
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


def _enter_backward(
    grads: Tensor, activated: Tensor, learned: Tensor | None, entry: str
) -> tuple[Tensor, Tensor | None]:
    """Gradients of `decoded`, (2, B, N), and of `learned`, (2, C), from (2, B, N, C / N)."""
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
    stacked[0].sigmoid_()
    stacked[1].tanh_()
    return stacked


def _activation_backward_(grads: Tensor, activated: Tensor) -> Tensor:
    of_scale, of_shift = grads[0], grads[1]
    _sigmoid_backward_(of_scale, activated[0], grad_input=of_scale)
    _tanh_backward_(of_shift, activated[1], grad_input=of_shift)
    return grads
