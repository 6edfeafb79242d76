"""Augmentation of many images at once, as tensor operations on raw uint8 pixels.

Pixels are raw, so padding is black before standardisation, as torchvision's transforms pad.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.data.catalog import CROPS
from trainables.seeding import seeded_generator
from trainables.spec import Augment


@dataclass(frozen=True)
class CropFlip:
    """A square crop from the image padded by zeros, and a mirror image of every second crop.

    Attributes:
        top: rows of the crops' corners in the padded images, `(N,)`.
        left: columns of the crops' corners, `(N,)`.
        flip: whether an image is mirrored left to right, bool `(N,)`.
        padding: zeros on each side.
        size: height and width of the crop.
    """

    top: Tensor
    left: Tensor
    flip: Tensor
    padding: int
    size: int

    def apply(self, images: Tensor, position: slice) -> Tensor:
        """Return the crops of `(n, C, H, W)` images at places `position` of the epoch's order."""
        n, channels = images.shape[:2]
        device, size = images.device, self.size
        across = torch.arange(size, device=device).expand(n, size)
        across = torch.where(self.flip[position, None], size - 1 - across, across)
        rows = self.top[position, None] + torch.arange(size, device=device)
        columns = self.left[position, None] + across
        padded = F.pad(images, (self.padding,) * 4)
        return padded[
            torch.arange(n, device=device)[:, None, None, None],
            torch.arange(channels, device=device)[None, :, None, None],
            rows[:, None, :, None],
            columns[:, None, None, :],
        ]


def draw_crops(
    augment: Augment, *, num_images: int, size: int, seed: int, epoch: int, device: torch.device
) -> CropFlip | None:
    """Return the crop of each image of an epoch, by place in the epoch's order; None for no crops.

    `crop_flip` pads by an eighth of the image's `size`: the customary 4 at 32x32. The draws depend
    on the trial's stream seed, the epoch and the number of images alone: all norms see the same
    crops.
    """
    if augment == "none":
        return None
    crop = CROPS.get(augment, size)
    padding = 0 if augment in CROPS else size // 8
    stream = seeded_generator(seed, "augment", epoch)
    num_places = size + 2 * padding - crop + 1
    corners = torch.randint(0, num_places, (2, num_images), generator=stream)
    flip = torch.randint(0, 2, (num_images,), generator=stream).bool()
    top, left = corners.to(device)
    return CropFlip(top=top, left=left, flip=flip.to(device), padding=padding, size=crop)


def crop_centre(images: Tensor, size: int) -> Tensor:
    """Return the middle `size` by `size` pixels of `(N, C, H, W)` images, which are not smaller."""
    top, left = ((whole - size) // 2 for whole in images.shape[2:])
    return images[:, :, top : top + size, left : left + size].contiguous()
