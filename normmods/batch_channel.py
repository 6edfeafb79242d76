"""Batch-channel normalization."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from normmods.batch import check_batch_values
from normmods.dispatch import entry
from normmods.group import check_group_values, groups_for
from normmods.norm import like
from normmods.running import RunningStatisticsNorm


class BatchChannelNorm(RunningStatisticsNorm):
    """Batch-channel normalization for micro-batches (Qiao et al. 2019, arXiv 1903.10520).

    First each channel is normalised by *estimated* statistics: the batch's mean and biased
    variance move the estimates, mu <- mu + r (mu_B - mu), r = `momentum`, and these, constants
    to the gradient, normalise in training as at test time; `weight` and `bias` follow. Then
    groups of channels are normalised as in GroupNorm, with a scale and shift for each group.

    Attributes:
        group_weight: scale a group, (num_groups,).
        group_bias: shift a group, (num_groups,).
        running_mean: the estimated means, (C,).
        running_var: the estimated variances, (C,).

    Raises:
        ValueError: an option is out of range; an input is not floating (B, C, H, W), or has one
            value a channel in training, or one value a group.
    """

    recomputable = False
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_channels: int,
        *,
        num_groups: int = 32,
        fewer_groups: bool = True,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(num_channels, eps=eps)
        if not 0 <= momentum <= 1:
            raise ValueError(f"`0 <= momentum <= 1` must hold, but got momentum={momentum}")
        self.momentum = momentum
        self.num_groups = groups_for(num_channels, num_groups, fewer_groups)
        self.group_weight = nn.Parameter(torch.ones(self.num_groups, dtype=torch.float32))
        self.group_bias = nn.Parameter(torch.zeros(self.num_groups, dtype=torch.float32))
        self.register_buffer("running_mean", torch.zeros(num_channels, dtype=torch.float32))
        self.register_buffer("running_var", torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    @entry
    def forward(self, x: Tensor) -> Tensor:
        """The normalized `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        check_group_values(x, self.num_groups)
        values = x.to(self.running_mean.dtype)
        if self.training:
            check_batch_values(x)
            self._estimate(values.detach())
        # Clones: the next batch moves the estimates while this one's gradient still needs them.
        mean, var = self.running_mean.clone(), self.running_var.clone()
        y = functional.batch_norm(values, mean, var, self.weight, self.bias, eps=self.eps)
        repeats = self.num_channels // self.num_groups
        weight = self.group_weight.repeat_interleave(repeats)
        bias = self.group_bias.repeat_interleave(repeats)
        return like(functional.group_norm(y, self.num_groups, weight, bias, self.eps), x)

    def _widen(self, num_networks: int) -> None:
        super()._widen(num_networks)
        self.num_groups *= num_networks

    def _estimate(self, values: Tensor) -> None:
        var, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
        share = self._newest_share(uncounted=1)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(var, share)
        self.num_batches_tracked.add_(1)
