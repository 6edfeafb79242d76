"""Batch-channel normalization."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from normmods.batch import require_batch_values
from normmods.dispatch import dispatch_input
from normmods.group import choose_num_groups, require_group_values
from normmods.norm import match_memory_format
from normmods.running import RunningStatisticsNorm


class BatchChannelNorm(RunningStatisticsNorm):
    """Batch-channel normalization (Qiao et al. 2019, arXiv 1903.10520 and 1911.09738).

    First each channel is normalised by *estimated* statistics: the batch moves the estimates,

        mu  <- mu + rate (mu_B - mu)               mu_B = mean of x over (B, H, W)
        var <- var + rate (var_B - var)            var_B = mean of (x - mu)^2, mu before the batch

    (rate = `momentum`), and these, constants to the gradient, normalise in training as at test
    time; `weight` and `bias` follow. Then groups of channels are normalised as in GroupNorm, with
    a scale and shift for each group. That is the form for micro-batches; with `estimate` False,
    the form for large batches, the first step is `torch.nn.BatchNorm2d`'s.

    The source is the authors' code (joe-siyuan-qiao/Batch-Channel-Normalization, `BCNorm` and
    `EstBN`). It sets the rate from outside, beginning with 0; here it is an option. It fails where
    `num_groups` does not divide the channels; here `fewer_groups` decides.

    Args:
        num_channels: channels of the input, C.
        num_groups: groups asked for; gcd(num_groups, C) are used where it does not divide C.
        fewer_groups: False refuses a `num_groups` that does not divide C.
        estimate: whether estimated statistics normalise in training, or the batch's own.
        eps: added to both variances.
        momentum: weight of the newest batch in the estimates.

    Attributes:
        group_weight: scale a group, (num_groups,).
        group_bias: shift a group, (num_groups,).
        running_mean: the estimated means, (C,).
        running_var: the estimated variances, (C,).

    Raises:
        ValueError: an option is out of range; an input is not floating (B, C, H, W), has one
            value a group, or, without `estimate`, one value a channel in training.

    Examples:
        >>> BatchChannelNorm(64, num_groups=16)(torch.randn(2, 64, 8, 8)).shape
        torch.Size([2, 64, 8, 8])
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
        estimate: bool = True,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(num_channels, eps=eps)
        if not 0 <= momentum <= 1:
            raise ValueError(f"`0 <= momentum <= 1` must hold, but got momentum={momentum}")
        self.estimate = estimate
        self.momentum = momentum
        self.num_groups = choose_num_groups(num_channels, num_groups, fewer_groups)
        self.group_weight = nn.Parameter(torch.ones(self.num_groups, dtype=torch.float32))
        self.group_bias = nn.Parameter(torch.zeros(self.num_groups, dtype=torch.float32))
        self.register_buffer("running_mean", torch.zeros(num_channels, dtype=torch.float32))
        self.register_buffer("running_var", torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        require_group_values(x, self.num_groups)
        values = x.to(self.running_mean.dtype)
        y = (
            self._normalize_by_estimates(values)
            if self.estimate
            else self._normalize_by_batch(values)
        )
        repeats = self.num_channels // self.num_groups
        # repeat_interleave, which torch 2.11 cannot export to ONNX, in operations that it can.
        weight = self.group_weight.unsqueeze(1).expand(-1, repeats).flatten()
        bias = self.group_bias.unsqueeze(1).expand(-1, repeats).flatten()
        return match_memory_format(
            functional.group_norm(y, self.num_groups, weight, bias, self.eps), x
        )

    def _widen(self, num_networks: int) -> None:
        """Widen parameters and buffers, and the number of groups."""
        super()._widen(num_networks)
        self.num_groups *= num_networks

    def _normalize_by_estimates(self, values: Tensor) -> Tensor:
        """Return `values` normalized by the estimates, in training after their update."""
        if self.training:
            self._update_estimates(values.detach())
        # Clones: the next batch moves the estimates while this one's gradient still needs them.
        mean, var = self.running_mean.clone(), self.running_var.clone()
        return functional.batch_norm(values, mean, var, self.weight, self.bias, eps=self.eps)

    def _normalize_by_batch(self, values: Tensor) -> Tensor:
        """Return `values` normalized as by `torch.nn.BatchNorm2d`."""
        if self.training:
            require_batch_values(values)
            self.num_batches_tracked.add_(1)
        return functional.batch_norm(
            values,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self._newest_weight_in_averages() if self.training else 0.0,
            self.eps,
        )

    def _update_estimates(self, values: Tensor) -> None:
        """Move the estimated mean and variance towards the batch's."""
        var, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
        about_estimate = var + (mean - self.running_mean).square()
        share = self._newest_weight_in_averages(uncounted=1)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(about_estimate, share)
        self.num_batches_tracked.add_(1)
