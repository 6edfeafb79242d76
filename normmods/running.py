"""The base of layers that keep statistics of training batches, for torch's batch-norm tools."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from normmods.norm import Norm


class RunningStatisticsNorm(Norm, _BatchNorm):
    """A norm with running statistics that torch's own tools treat as a batch norm.

    `torch.optim.swa_utils.update_bn` resets the statistics and averages those of all batches with
    equal weights: while `momentum` is None, each batch counts as much as any before.
    `torch.nn.SyncBatchNorm.convert_sync_batchnorm` replaces layers that compute the same as torch's
    layer; the others raise an error there.

    Attributes:
        num_batches_tracked: training batches so far, (), int64.
        counts_empty_batches: whether a training batch without values is counted, as torch's
            batch norm counts it; False where the count enters a formula.
        synchronizable: whether torch's `SyncBatchNorm` computes the same.
    """

    batch_dependent = True
    counts_empty_batches: ClassVar[bool] = True
    synchronizable: ClassVar[bool] = False

    momentum: float | None
    num_batches_tracked: Tensor

    def reset_running_stats(self) -> None:
        """Set the statistics, and the count of batches, to those of a new layer.

        Statistics that `normmods.recompute_precise` wrote are kept.
        """
        for name, buffer in self.named_buffers(recurse=False):
            if not name.startswith("precise"):
                buffer.fill_(1 if name.endswith(("_var", "_std")) else 0)

    def reset_parameters(self) -> None:
        """Set weight and bias to 1 and 0, and the statistics to those of a new layer."""
        self.reset_running_stats()
        for parameter, value in ((self.weight, 1.0), (self.bias, 0.0)):
            parameter.data.fill_(value)

    def _newest_weight_in_averages(self, *, uncounted: int = 0) -> float:
        """Return the newest batch's weight in averages; `uncounted` is 1 before its count."""
        if self.momentum is None:
            return 1.0 / (float(self.num_batches_tracked) + uncounted)
        return self.momentum

    def _count_empty_batch(self) -> None:
        """Count a training batch without values, if `counts_empty_batches`."""
        if self.counts_empty_batches:
            self.num_batches_tracked.add_(1)

    def _matches_synchronized(self) -> bool:
        """Whether a `SyncBatchNorm` with this layer's tensors computes the same."""
        return self.synchronizable

    @property
    def num_features(self) -> int:  # type: ignore[override]
        """Number of channels, under the name that torch's `convert_sync_batchnorm` reads."""
        if not self._matches_synchronized():
            raise TypeError(
                f"torch's SyncBatchNorm computes batch normalization with moving averages, but "
                f"got a {type(self).__name__}({self.extra_repr()}): pass "
                "convert_sync_batchnorm a model whose norms are normmods.BatchNorm with "
                "eval_statistics='ema'"
            )
        return self.num_channels

    @property
    def affine(self) -> bool:  # type: ignore[override]
        """True: the layer has a weight and a bias."""
        return True

    @property
    def track_running_stats(self) -> bool:
        """True: the layer keeps statistics."""
        return True

    @track_running_stats.setter
    def track_running_stats(self, tracked: bool) -> None:
        if not tracked:
            raise TypeError(
                f"a {type(self).__name__} keeps running statistics always, but got "
                "track_running_stats=False: for a test by the test batch's own statistics use "
                "eval_statistics='batch' where the layer has it"
            )

    def _check_input_dim(self, input: Any) -> None:  # noqa: A002 - torch's name
        """Check the input as `forward` does; torch's tools call this method."""
        self._check(input)
