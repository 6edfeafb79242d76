"""Switchable normalization."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normmods.batch import BatchStatisticsNorm, require_batch_values
from normmods.dispatch import dispatch_input
from normmods.norm import to_channels


class SwitchableNorm(BatchStatisticsNorm):
    """Switchable normalization (Luo et al. 2019, arXiv 1806.10779).

        y = weight * (x - sum_k p_k mu_k) / sqrt(sum_k q_k var_k + eps) + bias

    over k = instance, layer and batch statistics, p and q the softmax of three learned numbers
    each. All variances are biased; layer and batch statistics follow from the instance's. At test
    time the batch's are moving averages (`ema`), the test batch's (`batch`), or the paper's batch
    averages (`precise`): the mean and variance of all training values that
    `normmods.recompute_precise` was given, with the parameters frozen.

    Departures from the authors' code (switchablenorms/Switchable-Normalization, `SwitchNorm2d`):
    its instance variance is unbiased, against the print; its moving averages start from variance
    0; with `using_moving_average=False` it sums the batches' mean and mean^2 + var, whose division
    by the number of batches it leaves to the caller, and which for equal batches are `precise`.

    Attributes:
        mean_logits: behind p, (3,), start at 1, in the order instance, layer, batch.
        var_logits: behind q, (3,).
        precise_mean: batch average of the means, (C,).
        precise_var: batch average of the variances, (C,).

    Raises:
        ValueError: an option is out of range; an input is not floating (B, C, H, W), or has one
            value a channel where the batch's statistics are used; `precise` before
            `normmods.recompute_precise`.

    Examples:
        >>> layer = SwitchableNorm(8)
        >>> recompute_precise(layer, [torch.randn(32, 8, 4, 4) for _ in range(10)])
        >>> with using_eval_statistics(layer, "precise"):
        ...     layer.eval()(torch.randn(2, 8, 4, 4)).shape
        torch.Size([2, 8, 4, 4])

    Args:
        num_channels: channels of the input, C.
        eps: added to the variance.
        momentum: weight of the newest batch in the moving averages.
        eval_statistics: `ema`, `precise` or `batch`.
    """

    eval_choices = ("ema", "precise", "batch")
    precise_correction = 0

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_channels: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        eval_statistics: str = "ema",
    ) -> None:
        super().__init__(num_channels, eps=eps, momentum=momentum, eval_statistics=eval_statistics)
        self.mean_logits = nn.Parameter(torch.ones(3, dtype=torch.float32))
        self.var_logits = nn.Parameter(torch.ones(3, dtype=torch.float32))
        for kind in ("running", "precise"):
            self.register_buffer(f"{kind}_mean", torch.zeros(num_channels, dtype=torch.float32))
            self.register_buffer(f"{kind}_var", torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.register_buffer("precise_count", torch.tensor(0))

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        values = x.to(self.mean_logits.dtype)
        var, mean = torch.var_mean(values, dim=(2, 3), correction=0)
        batch_mean, batch_var = self._batch_moments(mean, var, x)
        layer_mean, layer_var = _pool_moments(
            self._split_networks(mean), self._split_networks(var), dim=2
        )
        p, q = self._mixing_weights(self.mean_logits), self._mixing_weights(self.var_logits)
        mixed_mean = (
            p[0] * self._split_networks(mean)
            + p[1] * layer_mean
            + p[2] * self._split_networks(batch_mean)
        ).flatten(1)
        mixed_var = (
            q[0] * self._split_networks(var)
            + q[1] * layer_var
            + q[2] * self._split_networks(batch_var)
        ).flatten(1)
        scale = self.weight * (mixed_var + self.eps).rsqrt()
        shift = self.bias - mixed_mean * scale
        return (values * to_channels(scale) + to_channels(shift)).to(x.dtype)

    def _split_networks(self, moments: Tensor) -> Tensor:
        """Return (B, S C) or (S C,) moments of S networks (see `widened`) as (..., S, C)."""
        return torch.unflatten(moments, -1, (self.num_networks, -1))

    def _mixing_weights(self, logits: Tensor) -> Tensor:
        """Return the weight of each kind of statistics, the softmax of `logits`, (3, S, 1)."""
        return logits.view(self.num_networks, 3).softmax(1).T[..., None]

    def _batch_moments(self, mean: Tensor, var: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the batch's mean and variance, or at test time the statistics in use."""
        if not self.training and self.eval_statistics == "ema":
            return self.running_mean, self.running_var
        if not self.training and self.eval_statistics == "precise":
            self._check_precise(x)
            return self.precise_mean, self.precise_var
        require_batch_values(x)
        batch_mean, batch_var = _pool_moments(mean, var, dim=0)
        if self.training:
            self.num_batches_tracked.add_(1)
            share = self._newest_weight_in_averages()
            self.running_mean.lerp_(batch_mean.detach()[0], share)
            self.running_var.lerp_(batch_var.detach()[0], share)
        return batch_mean, batch_var

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Load a state dict; one without precise statistics leaves the layer's unchanged."""
        # States saved before the layer had batch averages lack them: it keeps its own.
        for name in ("precise_mean", "precise_var", "precise_count"):
            state_dict.setdefault(prefix + name, getattr(self, name))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _pool_moments(mean: Tensor, var: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return mean and variance of equal parts together: the variance within plus between parts."""
    between, pooled = torch.var_mean(mean, dim=dim, correction=0, keepdim=True)
    return pooled, var.mean(dim, keepdim=True) + between
