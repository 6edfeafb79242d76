"""Batch normalization over parts of the batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fx import Proxy

from normmods.batch import BatchNorm, require_batch_values


class GhostBatchNorm(BatchNorm):
    """Ghost batch normalization (Hoffer et al. 2017, arXiv 1705.08741).

    Each `ghost_size` consecutive examples (the last part may be smaller) are normalised by their
    own statistics, and each part moves the running averages in turn, by torch's conventions.
    With `ghost_size` at or above the batch size it is `BatchNorm`.

    Departure from print: the paper averages deviations, sqrt(variance + eps); the averages here
    are torch's, of unbiased variances.

    Raises:
        ValueError: as `BatchNorm`, for any part; `ghost_size` is not positive.

    Args:
        num_channels: channels of the input, C.
        ghost_size: examples of a part.
        eps: added to the variance.
        momentum: weight of the newest part in the running statistics.
        eval_statistics: as for `BatchNorm`.

    Examples:
        >>> x = torch.randn(8, 4, 6, 6)
        >>> parts = torch.cat([BatchNorm(4)(part) for part in x.split(2)])
        >>> torch.allclose(GhostBatchNorm(4, ghost_size=2)(x), parts, atol=1e-6)
        True
    """

    synchronizable = False

    def __init__(
        self,
        num_channels: int,
        *,
        ghost_size: int = 32,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        eval_statistics: str = "ema",
    ) -> None:
        super().__init__(num_channels, eps=eps, momentum=momentum, eval_statistics=eval_statistics)
        if ghost_size < 1:
            raise ValueError(f"`ghost_size >= 1` must hold, but got ghost_size={ghost_size}")
        self.ghost_size = ghost_size

    def _normalize_by_batch(self, x: Tensor, *, track: bool) -> Tensor:
        """Return each part of the batch normalized by its own statistics."""
        if isinstance(x, Proxy):
            raise ValueError(
                "the number of parts depends on the batch size, but got a bare GhostBatchNorm with "
                f"eval_statistics={self.eval_statistics!r} to trace: trace a model that holds it"
            )
        parts = torch.split(x, self.ghost_size)
        require_batch_values(parts[-1])
        return torch.cat(
            [super(GhostBatchNorm, self)._normalize_by_batch(p, track=track) for p in parts]
        )
