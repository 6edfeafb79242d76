"""The base of every layer in this package: input checks, float32 state, class attributes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from normmods.dispatch import is_recorded, is_transformed

BEFORE_SUM = ("affine", "nonlinear")
"""Values of `before_sum`, the form of a layer that ends in an activation where none follows, as
before a residual sum: without the non-linearity, or the same as everywhere else."""

_REDUCED = (torch.float16, torch.bfloat16)


class Norm(nn.Module):
    """A normalization layer over (B, C, H, W) inputs, C = `num_channels`.

    Parameters and buffers are float32 and stay so under `.half()` and `.bfloat16()`: a bfloat16
    moving average stops short of its target. A float32 layer takes float32, float16 and bfloat16
    input, a layer made float64 by `.double()` takes float64; the output has the input's dtype. Any
    other pair is refused, as torch's batch and group norms refuse it. A batch without values gives
    an output without values, and leaves the statistics unchanged.

    Args:
        num_channels: channels of the input.
        eps: added to variances.

    Attributes:
        weight: scale a channel, (C,).
        bias: shift a channel, (C,).
        num_networks: networks that the layer serves side by side (see `widened`), S.
        batch_dependent: whether an example's output in training depends on the other examples of
            the batch.
        replaces_activation: whether the layer ends in a non-linearity, so that a model adds none.
        weight_form: form of the weights that the layer needs in the convolution before it: None,
            "standardized" or "centered"; see `normmods.prepare`.
        recomputable: whether a forward pass in training, repeated on the same input, gives the
            same output, as activation checkpointing needs.
        prepared: whether the convolution before the layer has the weights of `weight_form`.

    Raises:
        ValueError: `num_channels` is not positive, or `eps` negative; in `forward`, an input that
            is not floating (B, C, H, W) in one of the dtypes above.

    Examples:
        >>> class Scale(Norm):
        ...     def forward(self, x):
        ...         self._check(x)
        ...         return x * self.weight[:, None, None] + self.bias[:, None, None]
        >>> Scale(8, eps=0.0)(torch.ones(2, 8, 4, 4)).sum().item()
        256.0
    """

    batch_dependent: ClassVar[bool] = False
    replaces_activation: ClassVar[bool] = False
    weight_form: ClassVar[str | None] = None
    recomputable: ClassVar[bool] = True

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, num_channels: int, *, eps: float) -> None:
        nn.Module.__init__(self)  # what else a subclass derives from is set up by the subclass
        if num_channels < 1:
            raise ValueError(f"`num_channels >= 1` must hold, but got num_channels={num_channels}")
        if not 0 <= eps < math.inf:
            raise ValueError(f"`eps >= 0` must hold, but got eps={eps}")
        self.num_channels = num_channels
        self.num_networks = 1
        self.eps = eps
        self.prepared = self.weight_form is None
        self.weight = nn.Parameter(torch.ones(num_channels, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(num_channels, dtype=torch.float32))

    def without_activation(self) -> Norm:
        """Return the layer for a place without activation: before a residual sum, on logits.

        A layer that ends in a non-linearity returns one without it; every other returns itself.
        """
        return self

    def widened(self, num_networks: int) -> Norm:
        """Return a layer that computes S = `num_networks` layers like this one at once.

        Its input holds the networks side by side in the channels, (B, S C, H, W), network by
        network, and nothing passes between them. Its parameters and buffers have this layer's names
        and are S times as long, network by network; only a 0-d buffer, which counts batches, stays
        one. Their values are S copies of this layer's.
        """
        wide = copy.deepcopy(self)
        wide._widen(num_networks)
        return wide

    @torch.no_grad()
    def _widen(self, num_networks: int) -> None:
        """Repeat parameters and buffers for `num_networks` networks, in place."""
        self.num_channels *= num_networks
        self.num_networks *= num_networks
        for name, parameter in list(self.named_parameters(recurse=False)):
            setattr(self, name, nn.Parameter(_repeat_by_network(parameter, num_networks)))
        for name, buffer in list(self.named_buffers(recurse=False)):
            if buffer.dim():
                setattr(self, name, _repeat_by_network(buffer, num_networks))

    def _to_networks(self, numbers: Tensor) -> Tensor:
        """Return one number a network, () or (S,), shaped to multiply (B, S C, H, W)."""
        if self.num_networks == 1:
            return numbers
        return to_channels(numbers.repeat_interleave(self.num_channels // self.num_networks))

    def _check(self, x: Tensor) -> None:
        """Raise `ValueError` unless `x` is a floating (B, C, H, W); reads shape and dtype alone."""
        if not self.prepared:
            raise ValueError(
                f"`prepared` must hold, but got a {type(self).__name__} whose convolution is not "
                f"{self.weight_form}: call normmods.prepare(model) once the model is built"
            )
        if is_recorded(x):
            return
        if x.dim() != 4:
            raise ValueError(
                f"`x.dim() == 4` must hold, but got x.shape={tuple(x.shape)}: "
                "pass (batch, channels, height, width)"
            )
        if x.shape[1] != self.num_channels:
            raise ValueError(
                f"`x.shape[1] == num_channels` must hold, but got x.shape={tuple(x.shape)} and "
                f"num_channels={self.num_channels}: build the layer for {x.shape[1]} channels"
            )
        if not x.is_floating_point():
            raise ValueError(
                f"`x.is_floating_point()` must hold, but got x.dtype={x.dtype}: "
                "convert it, for example with x.float()"
            )
        self._check_dtype(x)

    def _check_dtype(self, x: Tensor) -> None:
        """Raise `ValueError` for an input dtype that does not fit the layer's dtype."""
        own = (self.weight if self.weight is not None else next(self.parameters())).dtype
        taken = (own, *_REDUCED) if own == torch.float32 else (own,)
        if x.dtype not in taken:
            raise ValueError(
                f"`x.dtype` must be one of {', '.join(map(str, taken))} for a layer in {own}, but "
                f"got x.dtype={x.dtype}: convert the input with x.to({own}), or the layer, for "
                "example with layer.double() or layer.float()"
            )

    def _count_empty_batch(self) -> None:
        """Update the state after a training batch without examples; by default change nothing."""

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Norm:
        """Move or cast the tensors as torch does, but keep float32 instead of half precision."""

        def unless_reduced(tensor: Tensor) -> Tensor:
            """Apply `fn`, but only move the tensor if `fn` would reduce its precision."""
            moved: Tensor = fn(tensor)
            return tensor.to(moved.device) if moved.dtype in _REDUCED else moved

        super()._apply(unless_reduced, recurse)  # type: ignore[no-untyped-call]
        return self

    def extra_repr(self) -> str:
        """Return the channel count and eps, as torch's own layers do."""
        return f"{self.num_channels}, eps={self.eps}"


def _repeat_by_network(tensor: Tensor, times: int) -> Tensor:
    """Return `times` copies of the tensor in a row; a 0-d tensor becomes 1-d."""
    flat = tensor.detach()[None] if tensor.dim() == 0 else tensor.detach()
    return torch.cat([flat] * times)


def to_channels(per_channel: Tensor) -> Tensor:
    """Return values by channel, (C,) or (B, C), shaped to broadcast over (B, C, H, W)."""
    return per_channel[..., None, None]


def match_memory_format(y: Tensor, x: Tensor) -> Tensor:
    """Return `y`, contiguous, in the dtype and memory format of `x`."""
    if is_recorded(x) or is_transformed():
        return y.to(x.dtype)
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        y = y.contiguous(memory_format=torch.channels_last)
    return y.to(x.dtype)


def without_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which autocast does not reduce the precision of float32 arithmetic."""
    if not is_recorded(x) and not x.is_meta and torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


def require_one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is among `allowed`; else raise a `ValueError` that names the option."""
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(allowed)}, but got {name}={value!r}")
    return value
