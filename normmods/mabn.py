"""Moving-average batch normalization."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from normmods.dispatch import entry, is_transformed
from normmods.norm import to_channels
from normmods.running import RunningStatisticsNorm


class MovingAverageBatchNorm(RunningStatisticsNorm):
    """MABN (Yan et al. 2020, arXiv 2001.06838).

    Normalises by the second moment alone, and steadies it, and the one statistic of the
    backward pass, by simple averages over the latest `history` batches:

        chi2 = mean of x^2 over (B, H, W)             z = x / sqrt(average chi2 + eps)
        psi  = mean of z * dL/dz over (B, H, W)       dL/dx = (dL/dz - z * average psi) / sqrt(...)

    and y = weight * z + bias. For the first max(`history`, `warmup_steps`) batches the batch's
    own statistics stand in. The convolution before it is to have centered weights
    (`normmods.prepare`; the layer refuses to run before). At test time a moving average of the
    second moments in use normalises.

    The backward pass writes the batch's psi into the state, so each training forward needs its
    backward before the next forward.

    Attributes:
        moments: chi2 of the latest batches, (C, history).
        projections: psi of the latest batches, (C, history).
        running_var: moving average for the test, (C,).
    """

    weight_form = "centered"
    counts_empty_batches = False
    recomputable = False
    moments: Tensor
    projections: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_channels: int,
        *,
        history: int = 16,
        warmup_steps: int = 100,
        eps: float = 1e-5,
        momentum: float = 0.02,
    ) -> None:
        super().__init__(num_channels, eps=eps)
        if history < 1:
            raise ValueError(f"`history >= 1` must hold, but got history={history}")
        if warmup_steps < 0:
            raise ValueError(f"`warmup_steps >= 0` must hold, but got warmup_steps={warmup_steps}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"`0 <= momentum <= 1` must hold, but got momentum={momentum}")
        self.history = history
        self.warmup_steps = warmup_steps
        self.momentum = momentum
        shape = (num_channels, history)
        self.register_buffer("moments", torch.zeros(shape, dtype=torch.float32))
        self.register_buffer("projections", torch.zeros(shape, dtype=torch.float32))
        self.register_buffer("running_var", torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    @entry
    def forward(self, x: Tensor) -> Tensor:
        """The normalized `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        values = x.to(self.running_var.dtype)
        if not self.training:
            z = values * to_channels((self.running_var + self.eps).rsqrt())
        else:
            if is_transformed():
                raise RuntimeError(
                    "mabn in training is differentiated by loss.backward() alone, for its backward "
                    "pass writes statistics of the gradient, but got torch.func or forward-mode "
                    "differentiation: call layer.eval(), or use another norm"
                )
            moment = self._averaged(self.moments, values.detach().square().mean((0, 2, 3)))
            self.running_var.lerp_(moment, self._newest_share(uncounted=1))
            z = _Normalize.apply(values, (moment + self.eps).rsqrt(), self)
            self.num_batches_tracked.add_(1)
        return (to_channels(self.weight) * z + to_channels(self.bias)).to(x.dtype)

    def _averaged(self, latest: Tensor, newest: Tensor, step: Tensor | None = None) -> Tensor:
        """Writes a batch's statistic into `latest` and returns the one to use, (C,)."""
        step = self.num_batches_tracked if step is None else step
        latest.index_copy_(1, (step % self.history).view(1), newest[:, None])
        full = step >= max(self.history, self.warmup_steps)
        return torch.where(full, latest.mean(1), newest)


class _Normalize(Function):
    """z = x * rstd, whose gradient uses the averaged psi instead of the batch's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rstd: Tensor, layer: MovingAverageBatchNorm) -> Tensor:
        z = x * to_channels(rstd)
        ctx.layer = layer
        ctx.save_for_backward(z, rstd, layer.num_batches_tracked.clone())
        return z

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "mabn has no second derivative in training, for its gradient uses averages over "
                "past batches and is not the derivative of a function of the input, but got "
                "create_graph=True: call layer.eval(), or use another norm"
            )
        z, rstd, step = ctx.saved_tensors
        projection = (grad * z).mean((0, 2, 3))
        averaged = ctx.layer._averaged(ctx.layer.projections, projection, step)
        return (grad - z * to_channels(averaged)) * to_channels(rstd), None, None
