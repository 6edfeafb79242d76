"""EvoNorms: normalization and activation found as one layer (Liu et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normmods.affine import ScaleAndShift
from normmods.batch import BatchStatisticsNorm, require_batch_values
from normmods.dispatch import dispatch_input
from normmods.group import choose_num_groups, require_group_values
from normmods.norm import BEFORE_SUM, Norm, require_one_of, to_channels

_MAP = (2, 3)


class EvoNormB0(BatchStatisticsNorm):
    """EvoNorm-B0 (Liu et al. 2020, arXiv 2004.02967), as in Google's code.

        y = weight * x / max(sqrt(s2_batch + eps), v * x + sqrt(s2_map + eps)) + bias

    with s2_batch the biased variance over (B, H, W) and s2_map that over (H, W). At test time
    s2_batch is its moving average (`ema`) or the test batch's (`batch`). Sources: the paper's
    appendix and tensorflow/tpu, `resnet_model.evonorm`, whose decay of 0.9 is 1 - `momentum` and
    whose moving average is of biased variances, from 1, as here; timm's has eps 1e-3 and averages
    unbiased ones.

    Attributes:
        v: v_1, (C,), starts at 1.
        running_var: moving average of s2_batch, (C,).

    Args:
        num_channels: channels of the input, C.
        eps: added to both variances.
        momentum: weight of the newest batch in `running_var`.
        eval_statistics: `ema` or `batch`.
        before_sum: the layer where no activation follows: `affine`, weight and bias alone, or
            `nonlinear`, the same as everywhere.

    Raises:
        ValueError: an option is out of range; an input is not floating (B, C, H, W), or has one
            value a channel where the batch's statistics are used.

    Examples:
        >>> layer = EvoNormB0(8)
        >>> layer(torch.randn(4, 8, 6, 6)).shape, layer.replaces_activation
        (torch.Size([4, 8, 6, 6]), True)
    """

    replaces_activation = True
    running_var: Tensor
    num_batches_tracked: Tensor

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
        self.before_sum = require_one_of("before_sum", before_sum, BEFORE_SUM)
        self.v = nn.Parameter(torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("running_var", torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the activated `x`, of the same shape (B, C, H, W) and dtype."""
        self._check(x)
        values = x.to(self.v.dtype)
        var = self._batch_variance(values)
        of_map = (values.var(_MAP, correction=0, keepdim=True) + self.eps).sqrt()
        of_batch = to_channels((var + self.eps).sqrt())
        scaled = values / torch.maximum(of_batch, to_channels(self.v) * values + of_map)
        y: Tensor = to_channels(self.weight) * scaled + to_channels(self.bias)
        return y.to(x.dtype)

    def without_activation(self) -> Norm:
        """Return weight and bias alone, as the authors' code; itself if `before_sum: nonlinear`."""
        return self if self.before_sum == "nonlinear" else ScaleAndShift(self.num_channels)

    def _batch_variance(self, values: Tensor) -> Tensor:
        """Return the biased batch variance, (C,), or at test time the statistics in use."""
        if not self.training and self.eval_statistics == "ema":
            return self.running_var
        require_batch_values(values)
        var = values.var((0, 2, 3), correction=0)
        if self.training:
            self.num_batches_tracked.add_(1)
            self.running_var.lerp_(var.detach(), self._newest_weight_in_averages())
        return var


class EvoNormS0(Norm):
    """EvoNorm-S0 (Liu et al. 2020, arXiv 2004.02967), as in Google's code.

        y = weight * x * sigmoid(v * x) / sqrt(s2_group + eps) + bias

    with s2_group the biased variance of the example's group, over (C / num_groups, H, W). Source:
    tensorflow/tpu, `resnet_model.evonorm`. Where `num_groups` does not divide the channels, it
    takes the largest divisor below; timm's refuses.

    Args:
        num_channels: channels of the input, C.
        num_groups: groups asked for.
        fewer_groups: False refuses a `num_groups` that does not divide C.
        group_choice: `largest_divisor` of C up to `num_groups`, or `gcd` of both, the groups that
            `GroupNorm` has there, so that the two layers differ in nothing else.
        eps: added to the variance.

    Attributes:
        v: v_1, (C,), starts at 1.

    Raises:
        ValueError: an option is out of range; an input is not floating (B, C, H, W) or has one
            value a group.

    Examples:
        >>> EvoNormS0(48).num_groups
        24
    """

    replaces_activation = True

    def __init__(
        self,
        num_channels: int,
        *,
        num_groups: int = 32,
        fewer_groups: bool = True,
        group_choice: str = "largest_divisor",
        eps: float = 1e-5,
        before_sum: str = "affine",
    ) -> None:
        super().__init__(num_channels, eps=eps)
        self.before_sum = require_one_of("before_sum", before_sum, BEFORE_SUM)
        choice = require_one_of("group_choice", group_choice, ("largest_divisor", "gcd"))
        self.num_groups = choose_num_groups(num_channels, num_groups, fewer_groups, choice)
        self.v = nn.Parameter(torch.ones(num_channels, dtype=torch.float32))

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the activated `x`, of the same shape (B, C, H, W) and dtype."""
        self._check(x)
        require_group_values(x, self.num_groups)
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
        """Return weight and bias alone, as the authors' code; itself if `before_sum: nonlinear`."""
        return self if self.before_sum == "nonlinear" else ScaleAndShift(self.num_channels)

    def _widen(self, num_networks: int) -> None:
        """Widen parameters, and the number of groups."""
        super()._widen(num_networks)
        self.num_groups *= num_networks
