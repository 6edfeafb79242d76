"""Layers with one thing wrong each, named for it, for the contract to find."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Sound(nn.BatchNorm2d):
    """Nothing wrong: torch's BatchNorm with keyword options alone."""

    batch_dependent = True

    def __init__(self, num_channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_channels, eps=eps, momentum=momentum)

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_floating_point():
            raise ValueError("integer input")
        return super().forward(x)


class LeaksAcrossExamples(Sound):
    batch_dependent = False


class StartsAtZero(Sound):
    """Nothing wrong: the last norm of a residual block is often begun with weights of zero."""

    def __init__(self, num_channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_channels, eps=eps, momentum=momentum)
        nn.init.zeros_(self.weight)


class LeaksBehindZeros(StartsAtZero):
    batch_dependent = False


class ClaimsBatchDependence(nn.GroupNorm):
    batch_dependent = True

    def __init__(self, num_channels: int) -> None:
        super().__init__(1, num_channels)


class ForgetsABuffer(Sound):
    """Its running mean is a plain attribute, which no `state_dict` holds."""

    def __init__(self, num_channels: int, **options: float) -> None:
        super().__init__(num_channels, **options)
        mean = self.running_mean
        del self.running_mean
        self.running_mean = mean


class UpdatesInEvaluation(Sound):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if not self.training:
            self.running_mean.lerp_(x.mean((0, 2, 3)).float(), 0.1)
        return y


class IgnoresAnOption(Sound):
    def __init__(self, num_channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_channels, eps=1e-5, momentum=momentum)


class SwallowsUnknownOptions(Sound):
    def __init__(self, num_channels: int, *, eps: float = 1e-5, **_: Any) -> None:
        super().__init__(num_channels, eps=eps)


class ChangesTheDtype(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float() if x.is_floating_point() else x)


class DropsChannelsLast(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).contiguous()


class DropsAnExample(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:2]


class HasAnIdleParameter(Sound):
    def __init__(self, num_channels: int, **options: float) -> None:
        super().__init__(num_channels, **options)
        self.idle = nn.Parameter(torch.ones(1))


class HasInfiniteGradients(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + (x - x).abs().sqrt()


class ReturnsItsBiasOnPoints(nn.GroupNorm):
    """One channel a group: on a 1x1 map every output is the bias."""

    def __init__(self, num_channels: int) -> None:
        super().__init__(num_channels, num_channels)


class BreaksTheGraph(Sound):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if x.is_meta or float(y.detach().sum()) < 1e30 else y * 2


class LivesOnTheCpu(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.zeros(x.shape[1:], device="cpu").to(x.dtype)


class TakesAnyChannels(nn.Module):
    """Normalises whatever comes: no weight tells a wrong channel count."""

    batch_dependent = False

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return (self.scale * x / (x.abs().mean((1, 2, 3), keepdim=True) + 1)).to(x.dtype)


class EndsInReLU(Sound):
    """Ends in an activation that it does not declare."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class EndsInDeclaredReLU(EndsInReLU):
    replaces_activation = True


class Switched(nn.GroupNorm):
    """Has an option that removes its parameters, one called `name`, and one `num_channels`."""

    def __init__(
        self, channels: int, *, affine: bool = True, name: str = "plain", num_channels: int = 4
    ) -> None:
        super().__init__(channels // num_channels, channels, affine=affine)
        self.name = name
