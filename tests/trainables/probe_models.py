"""Models a user might bring, each odd in one way; named in specs as `probe_models:…`."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]


def net(*, in_channels: int, num_classes: int, norm: Norm, width: int = 4) -> nn.Module:
    """A convolution, a norm and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
        norm(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, num_classes),
    )


def with_dropout(**given: Any) -> nn.Module:
    """Half of the features are dropped."""
    inner = net(**given)
    inner.insert(5, nn.Dropout(0.5))  # type: ignore[operator]
    return inner


class Scaled(nn.Module):
    """Has a parameter of its own that neither initialisation nor a norm touches."""

    def __init__(self, in_channels: int, num_classes: int, norm: Norm, **options: Any) -> None:
        super().__init__()
        self.inner = net(in_channels=in_channels, num_classes=num_classes, norm=norm, **options)
        self.scale = nn.Parameter(torch.rand(num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.scale  # type: ignore[no-any-return]


class ReadsValues(Scaled):
    """Looks at a value, which the meta device does not have."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.abs().max().item() >= 0 else x


class Counts(Scaled):
    """Does something else at every step, by a number that it counts up."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.num_steps = 0

    def forward(self, x: Tensor) -> Tensor:
        self.num_steps += 1
        return super().forward(x) / self.num_steps


class Luck(Scaled):
    """Draws from a generator that no seed of a trial reaches."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.scale.data.fill_(random.random())


class Growing(Scaled):
    """Is another network each time."""

    built = 0

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        Growing.built += 1
        self.register_buffer(f"memory{Growing.built}", torch.zeros(1))


def no_norm(*, in_channels: int, num_classes: int, norm: Norm) -> nn.Module:
    norm(4)
    return net(in_channels=in_channels, num_classes=num_classes, norm=nn.BatchNorm2d)


def one_logit_more(*, in_channels: int, num_classes: int, norm: Norm) -> nn.Module:
    return net(in_channels=in_channels, num_classes=num_classes + 1, norm=norm)


class Pair(Scaled):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x


class Decided(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return (super().forward(x) > 0).long()


def no_module(*, in_channels: int, num_classes: int, norm: Norm) -> object:
    return "network"


def raising(*, in_channels: int, num_classes: int, norm: Norm) -> nn.Module:
    raise RuntimeError(f"only 3 channels\nplease, not {in_channels}")


def too_large(*, in_channels: int, num_classes: int, norm: Norm) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, 4, 9), norm(4), nn.Flatten(), nn.Linear(4, 10))


def with_an_option(*, in_channels: int, num_classes: int, norm: Any) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, 8, 3), norm(8, eps=1e-3), nn.Flatten())


def of_colours(*, in_channels: int, num_classes: int, norm: Norm) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), norm(8), nn.Flatten(), nn.Linear(288, num_classes))


def of_other_features(*, in_channels: int, num_classes: int, norm: Norm) -> nn.Module:
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(nn.Conv2d(in_channels, 8, 3), norm(8), pooled, nn.Linear(16, num_classes))


built = nn.Linear(3, 2)


def without_classes(*, in_channels: int, norm: Norm) -> nn.Module:
    return net(in_channels=in_channels, num_classes=10, norm=norm)


def needy(*, in_channels: int, num_classes: int, norm: Norm, depth: int) -> nn.Module:
    return net(in_channels=in_channels, num_classes=num_classes, norm=norm, width=depth)


number = 3


def norm_as_a_layer(*, in_channels: int, num_classes: int, norm: Any) -> nn.Module:
    """Forgets to call `norm` with the number of channels."""
    return nn.Sequential(nn.Conv2d(in_channels, 8, 3), norm)
