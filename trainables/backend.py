"""Which of torch's CPU convolutions a trial trains with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

TINY_BATCH = 512
"""Pixels of a batch up to which the plain convolutions are faster than oneDNN's: at 8x8 pixels
and batch size 2 a whole step takes about half the time, from batch size 16 on twice as long."""


@contextmanager
def convolutions_for(images: torch.Size, device: torch.device) -> Iterator[None]:
    """Within the block, convolve batches of shape `(B, C, H, W)` the faster way, and by it alone.

    The choice is a function of the shape, so a trial always makes the same one.
    """
    batch_size, _, height, width = images
    before = torch.backends.mkldnn.enabled
    if device.type == "cpu" and batch_size * height * width <= TINY_BATCH:
        torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before
