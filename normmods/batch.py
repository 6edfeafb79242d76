"""Batch normalization with three kinds of test statistics."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from normmods.dispatch import dispatch_input, is_recorded, is_transformed
from normmods.norm import require_one_of, to_channels
from normmods.running import RunningStatisticsNorm


def require_batch_values(x: Tensor) -> None:
    """Raise `ValueError` if each channel has a single value, as a batch of 1 on a 1x1 map."""
    if not is_recorded(x) and x.shape[0] * x.shape[2] * x.shape[3] == 1:
        raise ValueError(
            "`B * H * W > 1` must hold for statistics of the batch, but got one value a channel: "
            f"x.shape={tuple(x.shape)}: use a larger batch or map, or a norm that does not "
            "depend on the batch"
        )


class BatchStatisticsNorm(RunningStatisticsNorm):
    """A norm with batch statistics in training and a choice of statistics at test time.

    `eval_statistics` may be changed at any time (see `normmods.using_eval_statistics`):
    `ema`, moving averages of the training batches'; `batch`, the test batch's own; where
    `eval_choices` has it, `precise`, those that `normmods.recompute_precise` pooled, whose
    variance is of all values less `precise_correction`.

    Attributes:
        eval_statistics: the statistics in use at test time.
        eval_choices: the values that `eval_statistics` can have.
        precise_correction: subtracted from the number of values in the precise variance.
    """

    eval_choices: ClassVar[tuple[str, ...]] = ("ema", "batch")
    precise_correction: ClassVar[int] = 1

    precise_mean: Tensor
    precise_var: Tensor
    precise_count: Tensor

    def __init__(
        self, num_channels: int, *, eps: float, momentum: float | None, eval_statistics: str
    ) -> None:
        super().__init__(num_channels, eps=eps)
        if momentum is not None and not 0 <= momentum <= 1:
            raise ValueError(f"`0 <= momentum <= 1` must hold, but got momentum={momentum}")
        self.momentum = momentum
        self.eval_statistics = require_one_of("eval_statistics", eval_statistics, self.eval_choices)

    def _check_precise(self, x: Tensor) -> None:
        """Raise `ValueError` if precise statistics were never computed.

        Nothing is checked while torch traces, compiles or transforms the layer: buffers have no
        values.
        """
        if is_recorded(x) or x.is_meta or torch.compiler.is_compiling() or is_transformed():
            return
        if int(self.precise_count) == 0:
            raise ValueError(
                "`precise_count > 0` must hold for eval_statistics='precise', but got "
                "precise_count=0: call normmods.recompute_precise(model, batches) first"
            )

    def extra_repr(self) -> str:
        """Return the channel count, eps, momentum and the test statistics in use."""
        return (
            f"{self.num_channels}, eps={self.eps}, momentum={self.momentum}, "
            f"eval_statistics={self.eval_statistics!r}"
        )


class BatchNorm(BatchStatisticsNorm):
    """Batch normalization (Ioffe & Szegedy 2015, arXiv 1502.03167), as `torch.nn.BatchNorm2d`.

    Standardises by the batch's mean and biased variance over (B, H, W); the running variance is
    unbiased and `momentum` is the weight of the newest batch, None for a plain average.
    `load_state_dict` takes the state of torch's layer, whose precise statistics are then yet to be
    recomputed.
    `eval_statistics` is `ema`, `precise` or `batch` (see `BatchStatisticsNorm`).

    Raises:
        ValueError: an input that is not floating (B, C, H, W); one value a channel where the
            batch's statistics are used; `precise` before `normmods.recompute_precise`.

    Args:
        num_channels: channels of the input, C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics; None for a plain average.
        eval_statistics: `ema`, `precise` or `batch`.

    Attributes:
        running_mean: moving average of the batch means, (C,).
        running_var: moving average of the unbiased batch variances, (C,).

    Examples:
        >>> layer = BatchNorm(8)
        >>> layer(torch.randn(4, 8, 6, 6)).mean((0, 2, 3)).abs().max() < 1e-5
        tensor(True)
    """

    eval_choices = ("ema", "precise", "batch")
    synchronizable = True

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_channels: int,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        eval_statistics: str = "ema",
    ) -> None:
        super().__init__(num_channels, eps=eps, momentum=momentum, eval_statistics=eval_statistics)
        for kind in ("running", "precise"):
            self.register_buffer(f"{kind}_mean", torch.zeros(num_channels, dtype=torch.float32))
            self.register_buffer(f"{kind}_var", torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.register_buffer("precise_count", torch.tensor(0))

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        if self.training or self.eval_statistics == "batch":
            require_batch_values(x)
            return self._normalize_by_batch(x, track=self.training)
        if self.eval_statistics == "precise":
            self._check_precise(x)
            mean, var = self.precise_mean, self.precise_var
        else:
            mean, var = self.running_mean, self.running_var
        return functional.batch_norm(x, mean, var, self.weight, self.bias, False, 0.0, self.eps)

    def _normalize_by_batch(self, x: Tensor, *, track: bool) -> Tensor:
        """Return `x` normalized by the batch's statistics, which update the averages if `track`."""
        if is_recorded(x) and not track:  # torch's kernel is exported for one batch size alone
            return self._normalize_by_plain_operations(x)
        if track and self.momentum is None and torch.compiler.is_compiling():
            return self._normalize_and_average(x)
        mean, var = (self.running_mean, self.running_var) if track else (None, None)
        newest = self._count_batch() if track else 0.0
        return functional.batch_norm(x, mean, var, self.weight, self.bias, True, newest, self.eps)

    def _normalize_by_plain_operations(self, x: Tensor) -> Tensor:
        """Return `x` normalized by the batch's statistics without torch's batch-norm kernel."""
        values = x.to(self.weight.dtype)
        var, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
        scale = self.weight * (var + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (values * to_channels(scale) + to_channels(shift)).to(x.dtype)

    def _normalize_and_average(self, x: Tensor) -> Tensor:
        """Return `x` normalized by the batch's statistics, and update plain averages of these.

        `functional.batch_norm` takes the newest batch's weight, 1 / (batches so far), as a number,
        and torch's compiler cannot read one from a tensor.
        """
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            newest = self.num_batches_tracked.to(torch.float32).reciprocal()
            values = x.detach().to(torch.float32)
            self.running_mean.lerp_(values.mean((0, 2, 3)), newest)
            self.running_var.lerp_(values.var((0, 2, 3), correction=1), newest)
        return functional.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)

    def _count_batch(self) -> float:
        """Count a training batch and return its weight in the moving averages."""
        self.num_batches_tracked.add_(1)
        return self._newest_weight_in_averages()

    def _matches_synchronized(self) -> bool:
        """Whether torch's `SyncBatchNorm` computes the same with the present test statistics."""
        return self.synchronizable and self.eval_statistics == "ema"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Load a state of this layer or of torch's batch norm, which has no precise statistics."""
        if f"{prefix}running_mean" in state_dict:
            for name, initial in (("mean", 0), ("var", 1), ("count", 0)):
                key, buffer = f"{prefix}precise_{name}", getattr(self, f"precise_{name}")
                state_dict.setdefault(key, torch.full_like(buffer, initial))
        super()._load_from_state_dict(state_dict, prefix, *rest)
