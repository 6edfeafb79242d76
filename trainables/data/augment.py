"""Augmentation of many images at once, as tensor operations on raw uint8 pixels.

Pixels are raw, so padding is black before standardisation, as torchvision's transforms pad.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.seeding import generator
from trainables.spec import Augment


@dataclass(frozen=True)
class CropFlip:
    """A crop of the image's own size from the image padded by zeros, then perhaps a mirror.

    Attributes:
        top, left: `(N,)`, the crop's corner in the padded image, from 0 to `2 padding`.
        flip: `(N,)` bool, mirrored left to right.
        padding: zeros on each side.
    """

    top: Tensor
    left: Tensor
    flip: Tensor
    padding: int

    def apply(self, images: Tensor, position: slice) -> Tensor:
        """Augment `(n, C, H, W)` images that stand at `position` of the epoch's order."""
        n, channels, height, width = images.shape
        device = images.device
        across = torch.arange(width, device=device).expand(n, width)
        across = torch.where(self.flip[position, None], width - 1 - across, across)
        rows = self.top[position, None] + torch.arange(height, device=device)
        columns = self.left[position, None] + across
        padded = F.pad(images, (self.padding,) * 4)
        return padded[
            torch.arange(n, device=device)[:, None, None, None],
            torch.arange(channels, device=device)[None, :, None, None],
            rows[:, None, :, None],
            columns[:, None, None, :],
        ]


def draw(
    augment: Augment, *, num_images: int, size: int, seed: int, epoch: int, device: torch.device
) -> CropFlip | None:
    """What happens to each image of an epoch, by its place in the epoch's order; None: nothing.

    Padding is an eighth of the image's `size`: the customary 4 at 32x32. The draws depend on
    (seed, epoch) and the number of images alone: every norm and batch size sees the same crops.
    """
    if augment == "none":
        return None
    padding = size // 8
    stream = generator(seed, "augment", epoch)
    corners = torch.randint(0, 2 * padding + 1, (2, num_images), generator=stream)
    flip = torch.randint(0, 2, (num_images,), generator=stream).bool()
    top, left = corners.to(device)
    return CropFlip(top=top, left=left, flip=flip.to(device), padding=padding)
