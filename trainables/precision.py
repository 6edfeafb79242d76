"""The number format of forward passes, and the memory format of images and weights."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from trainables.data.load import Dataset
from trainables.spec import TrainSpec


def autocast_forward(train: TrainSpec, device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which forward passes have the spec's precision; it can be entered again.

    `bfloat16` is torch's autocast: convolutions and linear layers compute in bfloat16, while
    weights, gradients of weights, norm statistics and the loss are float32. Backward passes, which
    follow the forward pass's formats by themselves, belong outside the context.
    """
    if train.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def apply_memory_format(
    train: TrainSpec, model: nn.Module, dataset: Dataset
) -> tuple[nn.Module, Dataset]:
    """Return model and data set in the spec's memory format; their values are unchanged."""
    if not train.channels_last:
        return model, dataset
    return (
        model.to(memory_format=torch.channels_last),
        replace(dataset, memory_format=torch.channels_last),
    )
