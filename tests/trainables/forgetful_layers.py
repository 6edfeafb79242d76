"""Layers that keep something from batch to batch; named in specs as `forgetful_layers:…`."""

from __future__ import annotations

from typing import Any

import torch
from calling_models import Base
from torch import Tensor, nn


class Keeps(nn.BatchNorm2d):
    """Adds nothing to a BatchNorm but what it keeps, by its own rule."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.keep(x.detach().mean((0, 2, 3)))
        return super().forward(x)

    def keep(self, mean: Tensor) -> None:
        raise NotImplementedError


class PlainAverages(Keeps):
    def __init__(self, num_channels: int) -> None:
        super().__init__(num_channels)
        self.moving_mean, self.moving_sum = torch.zeros(num_channels), torch.zeros(num_channels)

    def keep(self, mean: Tensor) -> None:
        self.moving_mean = 0.9 * self.moving_mean + 0.1 * mean
        self.moving_sum += mean


class LateAverage(Keeps):
    latest: Tensor | None = None

    def keep(self, mean: Tensor) -> None:
        self.latest = mean if self.latest is None else 0.9 * self.latest + 0.1 * mean


class Counts(Keeps):
    steps = 0

    def keep(self, mean: Tensor) -> None:
        self.steps += 1


class InAList(Keeps):
    def __init__(self, num_channels: int) -> None:
        super().__init__(num_channels)
        self.of_batches = {"mean": [torch.zeros(num_channels)]}

    def keep(self, mean: Tensor) -> None:
        self.of_batches["mean"][0] += mean


class NotSaved(Keeps):
    average: Tensor

    def __init__(self, num_channels: int) -> None:
        super().__init__(num_channels)
        self.register_buffer("average", torch.zeros(num_channels), persistent=False)

    def keep(self, mean: Tensor) -> None:
        self.average += mean


class Caches(Keeps):
    """Keeps the last batch's mean and nothing of those before."""

    def keep(self, mean: Tensor) -> None:
        self.last = mean


class SavesItself(PlainAverages):
    """Has its averages in its `state_dict` by torch's own way for other state."""

    def get_extra_state(self) -> dict[str, Tensor]:
        return {"mean": self.moving_mean, "sum": self.moving_sum}

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        self.moving_mean, self.moving_sum = state["mean"].clone(), state["sum"].clone()


class Smoothed(Base):
    """Keeps an average of its logits."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.average = torch.zeros(given["num_classes"])

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        if self.training:
            self.average = 0.9 * self.average + 0.1 * logits.detach().mean(0)
        return logits
