"""EvoNorms: normalization and activation found as one layer (Liu et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normmods.affine import ScaleAndShift
from normmods.batch import BatchStatisticsNorm, check_batch_values
from normmods.group import check_group_values, groups_for
from normmods.norm import BEFORE_SUM, Norm, one_of, to_channels

_MAP = (2, 3)


class EvoNormB0(BatchStatisticsNorm):
    """EvoNorm-B0 (Liu et al. 2020, arXiv 2004.02967).

        y = weight * x / max(sqrt(s2_batch + eps), v * x + sqrt(s2_map + eps)) + bias

    with s2_batch the biased variance over (B, H, W) and s2_map that over (H, W). At test time
    s2_batch is its moving average (`ema`) or the test batch's (`batch`).

    Attributes:
        v: v_1, (C,), starts at 1.
        running_var: moving average of s2_batch, (C,).
    """

    replaces_activation = True
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(
        self,
        num_channels: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        eval_statistics: str = "ema",
        before_sum: str = "affine",
    ) -> None:
        super().__init__(num_channels, eps=eps, momentum=momentum, eval_statistics=eval_statistics)
        self.before_sum = one_of("before_sum", before_sum, BEFORE_SUM)
        self.v = nn.Parameter(torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("running_var", torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """The activated `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        values = x.to(self.v.dtype)
        var = self._batch_variance(values)
        of_map = (values.var(_MAP, correction=0, keepdim=True) + self.eps).sqrt()
        of_batch = to_channels((var + self.eps).sqrt())
        scaled = values / torch.maximum(of_batch, to_channels(self.v) * values + of_map)
        y: Tensor = to_channels(self.weight) * scaled + to_channels(self.bias)
        return y.to(x.dtype)

    def without_activation(self) -> Norm:
        """Weight and bias alone, as in the authors' code; itself with `before_sum: nonlinear`."""
        return self if self.before_sum == "nonlinear" else ScaleAndShift(self.num_channels)

    def _batch_variance(self, values: Tensor) -> Tensor:
        if not self.training and self.eval_statistics == "ema":
            return self.running_var
        check_batch_values(values)
        var = values.var((0, 2, 3), correction=0)
        if self.training:
            self.num_batches_tracked.add_(1)
            self.running_var.lerp_(var.detach(), self.momentum)
        return var


class EvoNormS0(Norm):
    """EvoNorm-S0 (Liu et al. 2020, arXiv 2004.02967).

        y = weight * x * sigmoid(v * x) / sqrt(s2_group + eps) + bias

    with s2_group the biased variance of the example's group, over (C / num_groups, H, W).

    Attributes:
        v: v_1, (C,), starts at 1.
    """

    replaces_activation = True

    def __init__(
        self,
        num_channels: int,
        *,
        num_groups: int = 32,
        fewer_groups: bool = True,
        eps: float = 1e-5,
        before_sum: str = "affine",
    ) -> None:
        super().__init__(num_channels, eps=eps)
        self.before_sum = one_of("before_sum", before_sum, BEFORE_SUM)
        self.num_groups = groups_for(num_channels, num_groups, fewer_groups)
        self.v = nn.Parameter(torch.ones(num_channels, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """The activated `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        check_group_values(x, self.num_groups)
        values = x.to(self.v.dtype)
        swish = torch.unflatten(
            values * torch.sigmoid(to_channels(self.v) * values), 1, (self.num_groups, -1)
        )
        groups = torch.unflatten(values, 1, (self.num_groups, -1))
        var = groups.var((2, 3, 4), correction=0, keepdim=True)
        scaled = (swish * (var + self.eps).rsqrt()).flatten(1, 2)
        y: Tensor = to_channels(self.weight) * scaled + to_channels(self.bias)
        return y.to(x.dtype)

    def without_activation(self) -> Norm:
        """Weight and bias alone, as in the authors' code; itself with `before_sum: nonlinear`."""
        return self if self.before_sum == "nonlinear" else ScaleAndShift(self.num_channels)

    def _widen(self, num_networks: int) -> None:
        super()._widen(num_networks)
        self.num_groups *= num_networks
