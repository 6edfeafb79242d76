"""The batches of an epoch, prepared in chunks of many batches.

At batch size 2 a training step costs little more than the calls it makes. So gathering,
augmentation and standardisation run once for a whole chunk, and a batch is a view into it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from trainables.data import augment as augmentation
from trainables.data.load import Dataset
from trainables.seeding import seeded_generator
from trainables.spec import Augment

CHUNK_STEPS = 100
"""Batches in a chunk, and so the steps after which a diverged trial is noticed."""

CHUNK_EXAMPLES = 4096
"""Examples in a chunk, which bounds its memory: 50 MB of 3x32x32 images. A chunk has at least one
batch."""


class EpochExamples:
    """The training examples of one epoch, in the epoch's order and augmented.

    The order is a permutation that depends on (stream seed, epoch) alone. Examples that fill no
    batch at the epoch's end are dropped.

    Args:
        dataset: the training split is used.
        batch_size: examples of a batch.
        augment: kind of augmentation.
        seed: the trial's stream seed.
        epoch: number of the epoch, from 1.

    Attributes:
        num_batches: complete batches of the epoch.
    """

    def __init__(
        self, dataset: Dataset, *, batch_size: int, augment: Augment, seed: int, epoch: int
    ) -> None:
        num_train = len(dataset.train)
        device = dataset.train.labels.device
        order = torch.randperm(num_train, generator=seeded_generator(seed, "order", epoch))
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_batches = num_train // batch_size
        self.order = order[: self.num_batches * batch_size].to(device)
        self.crops = augmentation.draw_crops(
            augment,
            num_images=num_train,
            size=dataset.train.images.shape[-1],
            seed=seed,
            epoch=epoch,
            device=device,
        )

    def chunk(self, first: int, num_batches: int) -> tuple[Tensor, Tensor]:
        """Return images `(n B, C, H, W)` and labels `(n B,)` of batches `first` and following.

        Batches are counted from 0. At the epoch's end the chunk has fewer than `num_batches`.
        """
        end = min(first + num_batches, self.num_batches)
        position = slice(first * self.batch_size, end * self.batch_size)
        chosen = self.order[position]
        images = self.dataset.train.images[chosen]
        if self.crops is not None:
            images = self.crops.apply(images, position)
        return self.dataset.standardise(images), self.dataset.train.labels[chosen]


def training_chunks(
    dataset: Dataset, *, batch_size: int, augment: Augment, seed: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all of `EpochExamples` in chunks: images `(n B, C, H, W)` and labels `(n B,)`."""
    examples = EpochExamples(
        dataset, batch_size=batch_size, augment=augment, seed=seed, epoch=epoch
    )
    longest = longest_chunk(batch_size)
    for first in range(0, examples.num_batches, longest):
        yield examples.chunk(first, longest)


def evaluation_batches(dataset: Dataset, *, batch_size: int, fill_last: bool) -> Iterator[Tensor]:
    """Yield test images `(B, C, H, W)` in the split's order.

    The last batch is short, or, with `fill_last`, filled with examples from the first on.
    """
    num_test = len(dataset.test)
    total = -(-num_test // batch_size) * batch_size if fill_last else num_test
    order = torch.arange(total, device=dataset.test.labels.device) % num_test
    for position in _chunk_slices(total, batch_size):
        images = dataset.standardise(dataset.test.images[order[position]])
        yield from torch.split(images, batch_size)


def longest_chunk(batch_size: int) -> int:
    """Return the number of batches that a chunk has at most."""
    return max(1, min(CHUNK_STEPS, CHUNK_EXAMPLES // batch_size))


def _chunk_slices(num_examples: int, batch_size: int) -> Iterator[slice]:
    """Yield the range of examples of each chunk."""
    length = longest_chunk(batch_size) * batch_size
    for start in range(0, num_examples, length):
        yield slice(start, min(start + length, num_examples))
