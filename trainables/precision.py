"""In which numbers a trial's forward passes are computed, and how its images and weights lie."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from trainables.data.load import Dataset
from trainables.spec import TrainSpec


def autocast_forward(train: TrainSpec, device: torch.device) -> AbstractContextManager[Any]:
    """Within it forward passes have the spec's precision; may be entered again and again.

    `bfloat16` is torch's autocast: convolutions and linear layers compute in bfloat16, while
    weights, gradients of weights, norm statistics and the loss are float32. Backward passes, which
    follow the forward pass's numbers by themselves, belong outside of it.
    """
    if train.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def memory_format_of(
    train: TrainSpec, model: nn.Module, dataset: Dataset
) -> tuple[nn.Module, Dataset]:
    """Model and data set in the memory order of the spec: every value is the same."""
    if not train.channels_last:
        return model, dataset
    return (
        model.to(memory_format=torch.channels_last),
        replace(dataset, memory_format=torch.channels_last),
    )
