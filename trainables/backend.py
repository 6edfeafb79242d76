"""The choice between oneDNN's convolutions and torch's plain ones for a batch on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainables.data.load import Dataset

MAX_PLAIN_PIXELS = 512
"""Pixels of a batch up to which torch's plain convolutions are faster than oneDNN's: at 8x8 pixels
and batch size 2 a whole step takes about half the time, from batch size 16 on twice as long."""


@contextmanager
def faster_convolutions(
    dataset: Dataset, *, batch_size: int, num_networks: int = 1
) -> Iterator[None]:
    """Use the faster kind of convolution for batches of `batch_size` images within the block.

    On a CPU, oneDNN is switched off for one network and at most `MAX_PLAIN_PIXELS` pixels a batch.
    The choice is a function of the batch's shape, so that a trial always makes the same one.
    """
    height, width = dataset.test.images.shape[2:]
    before = torch.backends.mkldnn.enabled
    tiny = num_networks == 1 and batch_size * height * width <= MAX_PLAIN_PIXELS
    if dataset.mean.device.type == "cpu" and tiny:
        torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before
