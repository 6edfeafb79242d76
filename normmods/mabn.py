"""Moving-average batch normalization."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from normmods.dispatch import dispatch_input, is_transformed
from normmods.norm import to_channels
from normmods.running import RunningStatisticsNorm

_MAX_R = 5.0
"""r is limited to [1 / 5, 5]: a constant of the authors' code."""


class MovingAverageBatchNorm(RunningStatisticsNorm):
    """MABN (Yan et al. 2020, arXiv 2001.06838), as the authors' code has it (megvii-model/MABN).

    Normalises by the second moment alone, and steadies it, and the one statistic of the
    backward pass, by simple averages over the latest `history` batches:

        chi2 = mean of x^2 over (B, H, W)      s = sqrt(average chi2 + eps)      z = x / s
        r    = s / sqrt(running_var + eps), clipped to [1/5, 5]         y = weight * r z + bias
        psi  = mean of r z * dL/d(r z) over (B, H, W)
        dL/dx = (r * dL/d(r z) - z * average psi) / s

    `running_var` is the exponential average of the second moments in use, as it was before the
    batch; it normalises at test time. s and r are constants to the gradient, but for psi. At
    batch t, counted from 1,

    - the batch's own chi2 and psi stand in for the averages while t <= `history` or
      t < `warmup_steps`;
    - r = 1 while t <= `renormalize_after`.

    The convolution before the layer is to have centered weights (`normmods.prepare`; the layer
    refuses to run before). The backward pass writes the batch's psi into the state, so each
    training forward needs its backward before the next forward.

    Departures from the authors' code: it takes the larger of 1000 and the warm-up for
    `renormalize_after`, which here is an option and must not be below `warmup_steps`; it counts
    psi by its forward passes, which here have a count of their own, so that forward passes
    without a backward leave no zeros in the average of psi.

    Args:
        num_channels: channels of the input.
        history: batches in an average (the authors': simulated over real batch size).
        warmup_steps: batches before the averages are used.
        renormalize_after: batches before r is used; None leaves r out (r = 1 throughout).
        eps: added to second moments.
        momentum: weight of the newest batch in `running_var` (the authors' momentum is
            1 - `momentum`).

    Attributes:
        moments: chi2 of the latest batches, (C, history).
        projections: psi of the latest batches, (C, history).
        running_var: moving average for r and for the test, (C,).

    Raises:
        ValueError: in the constructor, an option out of range; in `forward`, an input that is
            not floating (B, C, H, W), or a convolution that is not prepared.

    Examples:
        >>> layers = torch.nn.Conv2d(3, 8, 3), MovingAverageBatchNorm(8)
        >>> prepare(torch.nn.Sequential(*layers))(torch.randn(2, 3, 9, 9)).shape
        torch.Size([2, 8, 7, 7])
    """

    weight_form = "centered"
    counts_empty_batches = False
    recomputable = False
    moments: Tensor
    projections: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    num_projections_tracked: Tensor

    def __init__(
        self,
        num_channels: int,
        *,
        history: int = 16,
        warmup_steps: int = 100,
        renormalize_after: int | None = 1000,
        eps: float = 1e-5,
        momentum: float = 0.02,
    ) -> None:
        super().__init__(num_channels, eps=eps)
        if history < 1:
            raise ValueError(f"`history >= 1` must hold, but got history={history}")
        if warmup_steps < 0:
            raise ValueError(f"`warmup_steps >= 0` must hold, but got warmup_steps={warmup_steps}")
        if renormalize_after is not None and renormalize_after < warmup_steps:
            raise ValueError(
                "`renormalize_after >= warmup_steps` must hold, but got renormalize_after="
                f"{renormalize_after}, warmup_steps={warmup_steps}: choose renormalize_after="
                f"{warmup_steps} or more, or None (null in a grid) for r = 1 throughout"
            )
        if not 0 <= momentum <= 1:
            raise ValueError(f"`0 <= momentum <= 1` must hold, but got momentum={momentum}")
        self.history = history
        self.warmup_steps = warmup_steps
        self.renormalize_after = renormalize_after
        self.momentum = momentum
        shape = (num_channels, history)
        self.register_buffer("moments", torch.zeros(shape, dtype=torch.float32))
        self.register_buffer("projections", torch.zeros(shape, dtype=torch.float32))
        self.register_buffer("running_var", torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.register_buffer("num_projections_tracked", torch.tensor(0))

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        values = x.to(self.running_var.dtype)
        if not self.training:
            normalized = values * to_channels((self.running_var + self.eps).rsqrt())
        else:
            if is_transformed():
                raise RuntimeError(
                    "mabn in training is differentiated by loss.backward() alone, for its backward "
                    "pass writes statistics of the gradient, but got torch.func or forward-mode "
                    "differentiation: call layer.eval(), or use another norm"
                )
            std, r = self._update_divisors(values.detach().square().mean((0, 2, 3)))
            if torch.compiler.is_compiling():
                std, r = _copy_for_backward(torch.stack((std, r))).unbind()
            normalized = _Normalize.apply(values, std, r, self)
        return (to_channels(self.weight) * normalized + to_channels(self.bias)).to(x.dtype)

    def _update_divisors(self, newest: Tensor) -> tuple[Tensor, Tensor]:
        """Add a batch's chi2, (C,), to the state and return s and r of this batch, (C,) each."""
        moment = self._update_average(self.moments, self.num_batches_tracked, newest)
        std = (moment + self.eps).sqrt()
        r = torch.ones_like(std)
        if self.renormalize_after is not None:
            ratio = std / (self.running_var + self.eps).sqrt()
            renormalizing = self.num_batches_tracked > self.renormalize_after
            r = torch.where(renormalizing, ratio.clamp(1 / _MAX_R, _MAX_R), r)
        self.running_var.lerp_(moment, self._newest_weight_in_averages())
        return std, r

    def _update_average(self, latest: Tensor, count: Tensor, newest: Tensor) -> Tensor:
        """Count a batch, write its statistic into `latest`; return the statistic to use, (C,)."""
        step = count.add_(1)
        latest.index_copy_(1, (step % self.history).view(1), newest[:, None])
        averaging = (step > self.history) & (step >= self.warmup_steps)
        return torch.where(averaging, latest.mean(1), newest)


@torch.library.custom_op("normmods::keep", mutates_args=())
def _copy_for_backward(values: Tensor) -> Tensor:
    """Return a copy that a compiled backward pass uses instead of computing the values again.

    torch.compile may compute cheap values again in the backward pass, from buffers as they are
    then; `running_var`, from which r is computed, has changed by that time. An unknown operator is
    never repeated.
    """
    return values.clone()


@_copy_for_backward.register_fake
def _(values: Tensor) -> Tensor:
    """Return an empty tensor like `values`: the copy's shape, for torch's compiler."""
    return torch.empty_like(values)


class _Normalize(Function):
    """MABN's normalization r * x / std, whose gradient uses the averaged psi, not the batch's."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, std: Tensor, r: Tensor, layer: MovingAverageBatchNorm
    ) -> Tensor:
        """Return r * x / std, and keep what the backward pass needs."""
        normalized = x * to_channels(r / std)
        ctx.layer = layer
        ctx.save_for_backward(normalized, std, r)
        return normalized

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient of `x` by the averaged psi, and update the average."""
        if torch.is_grad_enabled():
            raise RuntimeError(
                "mabn has no second derivative in training, for its gradient uses averages over "
                "past batches and is not the derivative of a function of the input, but got "
                "create_graph=True: call layer.eval(), or use another norm"
            )
        normalized, std, r = ctx.saved_tensors
        layer = ctx.layer
        psi = (grad * normalized).mean((0, 2, 3))
        psi = layer._update_average(layer.projections, layer.num_projections_tracked, psi)
        grad_x = grad * to_channels(r / std) - normalized * to_channels(psi / (r * std))
        return grad_x, None, None, None
