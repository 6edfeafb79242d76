"""The batches of an epoch, prepared a stretch of many batches at a time.

At batch size 2 a training step costs little more than the calls it makes. So gathering,
augmentation and standardisation run once for a whole stretch, and a batch is a view into it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from trainables.data import augment as augmentation
from trainables.data.load import Dataset
from trainables.seeding import generator
from trainables.spec import Augment

CHUNK_STEPS = 100
"""Batches in a stretch, and so the steps after which a diverged trial is noticed."""

CHUNK_EXAMPLES = 4096
"""Bounds a stretch's memory: 50 MB of 3x32x32 images. A stretch has at least one batch."""


class EpochExamples:
    """The training examples of one epoch, in their order and augmented; `epoch` counts from 1.

    The order is a permutation that depends on (seed, epoch) alone. The examples that fill no
    batch at the epoch's end are dropped.
    """

    def __init__(
        self, dataset: Dataset, *, batch_size: int, augment: Augment, seed: int, epoch: int
    ) -> None:
        num_train = len(dataset.train)
        device = dataset.train.labels.device
        order = torch.randperm(num_train, generator=generator(seed, "order", epoch))
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_batches = num_train // batch_size
        self.order = order[: self.num_batches * batch_size].to(device)
        self.crops = augmentation.draw(
            augment,
            num_images=num_train,
            size=dataset.train.images.shape[-1],
            seed=seed,
            epoch=epoch,
            device=device,
        )

    def stretch(self, first: int, num_batches: int) -> tuple[Tensor, Tensor]:
        """Images `(n B, C, H, W)` and labels `(n B,)` of the batches from the `first` on.

        Batches are counted from 0; at the epoch's end there are fewer than asked for.
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
    """All of `EpochExamples`: images `(n B, C, H, W)` and labels `(n B,)`, one stretch a time."""
    examples = EpochExamples(
        dataset, batch_size=batch_size, augment=augment, seed=seed, epoch=epoch
    )
    longest = longest_chunk(batch_size)
    for first in range(0, examples.num_batches, longest):
        yield examples.stretch(first, longest)


def evaluation_batches(dataset: Dataset, *, batch_size: int, fill_last: bool) -> Iterator[Tensor]:
    """Test images `(B, C, H, W)` in the split's order.

    The last batch is short, or, with `fill_last`, filled with examples from the first on.
    """
    num_test = len(dataset.test)
    total = -(-num_test // batch_size) * batch_size if fill_last else num_test
    order = torch.arange(total, device=dataset.test.labels.device) % num_test
    for position in _stretches(total, batch_size):
        images = dataset.standardise(dataset.test.images[order[position]])
        yield from torch.split(images, batch_size)


def longest_chunk(batch_size: int) -> int:
    """How many batches a stretch has at most."""
    return max(1, min(CHUNK_STEPS, CHUNK_EXAMPLES // batch_size))


def _stretches(num_examples: int, batch_size: int) -> Iterator[slice]:
    length = longest_chunk(batch_size) * batch_size
    for start in range(0, num_examples, length):
        yield slice(start, min(start + length, num_examples))
