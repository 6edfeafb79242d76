"""Which of torch's CPU convolutions run a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainables.data.load import Dataset

TINY_BATCH = 512
"""Pixels of a batch up to which the plain convolutions are faster than oneDNN's: at 8x8 pixels
and batch size 2 a whole step takes about half the time, from batch size 16 on twice as long."""


@contextmanager
def convolutions_for(dataset: Dataset, *, batch_size: int, num_networks: int = 1) -> Iterator[None]:
    """Within the block, convolve batches of that many images the faster way on a CPU.

    The choice is a function of the batch's shape, so that a trial always makes the same one.
    """
    height, width = dataset.test.images.shape[2:]
    before = torch.backends.mkldnn.enabled
    tiny = num_networks == 1 and batch_size * height * width <= TINY_BATCH
    if dataset.mean.device.type == "cpu" and tiny:
        torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before
