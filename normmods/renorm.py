"""Batch renormalization and its debiased form, which ease the step from training to test."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from normmods.batch import BatchStatisticsNorm, require_batch_values
from normmods.dispatch import dispatch_input, is_transformed, needs_reference
from normmods.renorm_native import Renormalize, batch_moments, differentiable_moments, renormalize

Clip = Any
"""A limit of r or d: a float, or a 0-d tensor while a warm-up raises it."""


class _Renorm(BatchStatisticsNorm):
    """The base of both renormalizations: y = weight * ((x - mu_B) / sigma_B * r + d) + bias.

    mu_B is the batch's mean and sigma_B = sqrt(biased variance + eps), over (B, H, W); r and d
    are constants to the gradient. The state holds averages of sigma, not of the variance;
    `load_state_dict` accepts the state of `torch.nn.BatchNorm2d` as well.
    """

    counts_empty_batches = False
    recomputable = False
    running_mean: Tensor
    running_std: Tensor

    def __init__(
        self,
        num_channels: int,
        *,
        eps: float,
        momentum: float,
        r_max: float,
        d_max: float,
        eval_statistics: str,
    ) -> None:
        super().__init__(num_channels, eps=eps, momentum=momentum, eval_statistics=eval_statistics)
        if momentum is None:
            raise ValueError("`0 <= momentum <= 1` must hold, but got momentum=None")
        if not r_max >= 1:
            raise ValueError(f"`r_max >= 1` must hold, but got r_max={r_max}")
        if not d_max >= 0:
            raise ValueError(f"`d_max >= 0` must hold, but got d_max={d_max}")
        self.r_max = r_max
        self.d_max = d_max
        self.register_buffer("running_mean", torch.zeros(num_channels, dtype=torch.float32))
        self.register_buffer("running_std", torch.ones(num_channels, dtype=torch.float32))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self._latest: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized `x`, of the same shape (B, C, H, W), dtype and memory format.

        Eager inputs on a CPU use the native kernels (see `normmods.renorm_native`). Other devices,
        `torch.compile`, which fuses plain operations as well, and `torch.func` use `reference`.
        """
        self._check(x)
        if not self.training and self.eval_statistics == "ema":
            return self._normalize_by_averages(x)
        require_batch_values(x)
        if needs_reference(x):
            return self.reference(x)
        values = x.to(self.weight.dtype)
        mean, var = batch_moments(values)
        std = (var + self.eps).sqrt_()
        r, d = self._compute_correction(mean, std)
        y: Tensor = Renormalize.apply(values, self.weight, self.bias, mean, std, r, d, self.eps)
        return y.to(x.dtype)

    def _normalize_by_averages(self, x: Tensor) -> Tensor:
        """Return `x` normalized by the averages, which contain eps already."""
        var = self.running_std.square()
        # What `functional.batch_norm` calls, which in PyTorch 2.11 refuses eps = 0.
        cudnn = torch.backends.cudnn.enabled
        return torch.batch_norm(
            x, self.weight, self.bias, self.running_mean, var, False, 0.0, 0.0, cudnn
        )

    def reference(self, x: Tensor) -> Tensor:
        """Return the output by plain operations; in training update the state as `forward`."""
        values = x.to(self.weight.dtype)
        mean, std = differentiable_moments(values, self.eps)
        r, d = self._compute_correction(mean.detach(), std.detach())
        return renormalize(values, self.weight, self.bias, mean, std, r, d).to(x.dtype)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Load the state of this layer or of a torch batch norm, whose variance becomes a sigma."""
        theirs, ours = f"{prefix}running_var", f"{prefix}running_std"
        if theirs in state_dict and ours not in state_dict:
            state_dict[ours] = (state_dict.pop(theirs) + self.eps).sqrt()
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def clipped_fraction(self) -> Tensor:
        """Return the share of channels whose r or d the latest batch clipped, by network, (S,).

        Raises:
            ValueError: the layer has processed no batch with batch statistics.
        """
        if self._latest is None:
            raise ValueError(
                "`clipped_fraction` needs a batch, but got none: call the layer first, in "
                "training or with eval_statistics='batch'"
            )
        ratio, shift, r, d = self._latest
        clipped = (ratio != r) | (shift != d)
        return clipped.float().view(self.num_networks, -1).mean(1)

    def _compute_correction(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Return r and d, (C,) each, for a batch's mean and std; in training update the state."""
        raise NotImplementedError

    def _clipped_correction(
        self, mean: Tensor, std: Tensor, r_max: Clip, d_max: Clip
    ) -> tuple[Tensor, Tensor]:
        """Return r and d, limited to [1 / r_max, r_max] and [-d_max, d_max]."""
        if self.momentum is None:  # the averages are being recomputed: plain batch normalization
            return torch.ones_like(std), torch.zeros_like(mean)
        ratio = std / self.running_std
        shift = (mean - self.running_mean) / self.running_std
        r = ratio.clamp(1 / r_max, r_max)
        d = shift.clamp(-d_max, d_max)
        if not is_transformed():
            self._latest = (ratio, shift, r, d)
        return r, d


class BatchRenorm(_Renorm):
    """Batch renormalization (Ioffe 2017, arXiv 1702.03275).

    r and d come from the moving averages as they were before the batch. The clips are r_max and
    d_max throughout, as in Wang & Wu's baseline, unless a warm-up is asked for: the first
    `warmup_steps` batches are plain batch normalization (r = 1, d = 0), then the clips open
    linearly over `r_ramp_steps` and `d_ramp_steps` (Ioffe: 5000, 35000 and 20000).

    The averages start from mean 0 and deviation 1 and hold sigma, eps included, as in the paper.
    Keras's `BatchNormalization(renorm=True)` differs: at test time it uses a separate average of
    the variance.

    Args:
        num_channels: channels of the input.
        eps: added to the variance.
        momentum: weight of the newest batch in the moving averages.
        r_max: r is kept within [1 / r_max, r_max].
        d_max: d is kept within [-d_max, d_max].
        warmup_steps: batches before the clips open.
        r_ramp_steps: batches over which r's clip opens.
        d_ramp_steps: batches over which d's clip opens.
        eval_statistics: `ema`, the moving averages, or `batch`, the training formula with the
            test batch's statistics and frozen state.

    Raises:
        ValueError: an option is out of range; an input is not floating (B, C, H, W), or has one
            value a channel where the batch's statistics are used.

    Examples:
        >>> layer = BatchRenorm(8, r_max=3.0, d_max=5.0)
        >>> layer(torch.randn(4, 8, 6, 6)).shape
        torch.Size([4, 8, 6, 6])
        >>> 0 <= layer.clipped_fraction().item() <= 1
        True
    """

    def __init__(
        self,
        num_channels: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.01,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warmup_steps: int = 0,
        r_ramp_steps: int = 0,
        d_ramp_steps: int = 0,
        eval_statistics: str = "ema",
    ) -> None:
        super().__init__(
            num_channels,
            eps=eps,
            momentum=momentum,
            r_max=r_max,
            d_max=d_max,
            eval_statistics=eval_statistics,
        )
        steps = {"warmup": warmup_steps, "r_ramp": r_ramp_steps, "d_ramp": d_ramp_steps}
        for name, value in steps.items():
            if value < 0:
                raise ValueError(f"`{name}_steps >= 0` must hold, but got {name}_steps={value}")
        self.warmup_steps = warmup_steps
        self.r_ramp_steps = r_ramp_steps
        self.d_ramp_steps = d_ramp_steps

    def _compute_correction(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Return r and d from the averages before the batch; in training then update these."""
        if self.training:
            self.num_batches_tracked.add_(1)
        r_max = self._current_clip(1.0, self.r_max, self.r_ramp_steps)
        d_max = self._current_clip(0.0, self.d_max, self.d_ramp_steps)
        r, d = self._clipped_correction(mean, std, r_max, d_max)
        if self.training:
            share = self._newest_weight_in_averages()
            self.running_mean.lerp_(mean, share)
            self.running_std.lerp_(std, share)
        return r, d

    def _current_clip(self, closed: float, opened: float, ramp_steps: int) -> Clip:
        """Return the limit at this batch: `closed` in the warm-up, then linear to `opened`."""
        if not self.warmup_steps and not ramp_steps:
            return opened
        share = (self.num_batches_tracked.double() - self.warmup_steps) / max(ramp_steps, 1)
        return closed + (opened - closed) * share.clamp(0, 1)


class RenormDebias(_Renorm):
    r"""Batch renormalization with debiased averages (Wang & Wu, small batch sizes).

    The averages m_t and s_t start at 0, take the batch in first and are divided by
    1 - alpha^t (alpha = 1 - `momentum`) before use, so the first batch has r = 1 and d = 0.
    The buffers hold the debiased mu_t = m_t / (1 - alpha^t) and sigma_t: the same recursion reads

        mu_t = mu_{t-1} + g_t (mu_B - mu_{t-1}),   g_t = (1 - alpha) / (1 - alpha^t)

    and is exact at t = 1, where g_1 = 1.

    Departures from print:

    - The printed algorithm multiplies alpha^t in twice a step, against its equation 13; there is
      one t here.
    - The printed algorithm writes the corrected averages back into m and s; fed back, a constant
      input of 1 has a mean of 50 at t = 2 and soon overflows. m and s stay uncorrected here.
    - eps is inside sigma: sigma_B = sqrt(biased variance + eps), and s averages that.

    Print takes r_max = 3, d_max = 5 and alpha = 0.99, as the defaults, and the test batch's own
    statistics at test time; `eval_statistics` `ema` agrees with it wherever nothing is clipped.

    Args:
        num_channels: channels of the input.
        eps: added to the variance.
        momentum: 1 - alpha, the weight of the newest batch.
        r_max: r is kept within [1 / r_max, r_max].
        d_max: d is kept within [-d_max, d_max].
        eval_statistics: `batch` (the paper's), the training formula with the test batch's
            statistics and frozen state, or `ema`, mu_t and sigma_t alone.

    Raises:
        ValueError: an option is out of range; an input is not floating (B, C, H, W), or has one
            value a channel where the batch's statistics are used.

    Examples:
        >>> layer, plain, x = RenormDebias(8), BatchNorm(8), torch.randn(4, 8, 6, 6)
        >>> torch.allclose(layer(x), plain(x), atol=1e-5)  # the first batch has r = 1 and d = 0
        True
    """

    def __init__(
        self,
        num_channels: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.01,
        r_max: float = 3.0,
        d_max: float = 5.0,
        eval_statistics: str = "batch",
    ) -> None:
        super().__init__(
            num_channels,
            eps=eps,
            momentum=momentum,
            r_max=r_max,
            d_max=d_max,
            eval_statistics=eval_statistics,
        )
        if not 0 < momentum < 1:
            raise ValueError(f"`0 < momentum < 1` must hold, but got momentum={momentum}")
        self._log_alpha = math.log1p(-momentum)

    def _compute_correction(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Update the averages in training, then return r and d from these."""
        if self.training:
            newest = self._debiased_weight()
            self.running_mean.lerp_(mean, newest)
            self.running_std.lerp_(std, newest)
        return self._clipped_correction(mean, std, self.r_max, self.d_max)

    def _debiased_weight(self) -> Any:
        """Count the batch and return its weight g_t in the averages, a float or a 0-d tensor."""
        step = self.num_batches_tracked.add_(1)
        if self.momentum is None:
            return self._newest_weight_in_averages()
        if step.is_cpu and not torch.compiler.is_compiling():
            return math.expm1(self._log_alpha) / math.expm1(int(step) * self._log_alpha)
        # In float64: 1 - alpha^t would lose half its digits in float32.
        newest = math.expm1(self._log_alpha) / torch.expm1(step.double() * self._log_alpha)
        return newest.to(self.running_mean.dtype)
