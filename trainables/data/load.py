"""Loading of a `DataSpec`'s data set as tensors, cached for the next trial of the same process."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainables.data.augment import crop_centre
from trainables.data.custom import read_custom_data
from trainables.data.files import data_root
from trainables.data.lookup import dataset_info, full_dataset_info
from trainables.data.sources import read_arrays
from trainables.spec import DataSpec, is_custom


@dataclass(frozen=True)
class Split:
    """uint8 images `(N, C, H, W)` and int64 labels `(N,)` on the device that trains."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Both splits, with the mean and standard deviation by which images are standardised.

    Every batch is a copy, so that no trial can change the data of the next.

    Attributes:
        train: training split.
        test: test split.
        mean: per channel over the whole training split, whatever part of it the spec keeps,
            `(1, C, 1, 1)`.
        std: standard deviation, as `mean`.
        num_classes: number of classes.
        digest: digest of a custom data set's bits; empty for a built-in data set.
        memory_format: memory format of standardised images.
    """

    train: Split
    test: Split
    mean: Tensor
    std: Tensor
    num_classes: int
    digest: str = ""
    memory_format: torch.memory_format = torch.contiguous_format

    def standardise(self, images: Tensor) -> Tensor:
        """Return float32 images of mean 0 and standard deviation 1 per channel, from uint8 ones."""
        values = images.to(torch.float32, memory_format=self.memory_format, copy=True)
        return values.sub_(self.mean).div_(self.std)


def load_dataset(
    spec: DataSpec,
    *,
    root: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
) -> Dataset:
    """Return the spec's data set on `device`.

    `num_train` and `num_test` of the spec keep so many examples of each class as equal numbers
    allow, the same ones in every trial, and a smaller number keeps a part of what a larger one
    keeps. Test images are cropped about their centre to the size of a model's input.

    Args:
        spec: name and limits of the data set.
        root: the data root (default: see `data_root`).
        device: where the tensors are.

    Raises:
        ValueError: a wrong spec.
        DataUnavailable: the data set is not in the root, or damaged.
    """
    info = dataset_info(spec)
    every = DataSpec(name=spec.name, options=spec.options, digest=spec.digest)
    whole = _load_whole(every, data_root(root), torch.device(device))
    test = _take_balanced(whole.test, info.num_test)
    if test.images.shape[1:] != info.shape:
        test = Split(images=crop_centre(test.images, info.shape[-1]), labels=test.labels)
    return replace(whole, train=_take_balanced(whole.train, info.num_train), test=test)


@lru_cache(maxsize=2)
def _load_whole(spec: DataSpec, root: Path, device: torch.device) -> Dataset:
    """Return all examples of the data set on `device`; the latest two data sets are cached."""
    own = read_custom_data(spec) if is_custom(spec.name) else None
    raw = own.raw if own else read_arrays(spec.name, root)
    train = _move_split(raw.train_images, raw.train_labels, device)
    mean, std = _channel_moments(train.images)
    return Dataset(
        train=train,
        test=_move_split(raw.test_images, raw.test_labels, device),
        mean=mean,
        std=std,
        num_classes=full_dataset_info(spec).num_classes,
        digest=own.digest if own else "",
    )


def _move_split(images: np.ndarray, labels: np.ndarray, device: torch.device) -> Split:
    """Return the arrays as a split on `device`."""
    return Split(
        images=torch.from_numpy(images).to(device),
        labels=torch.from_numpy(labels).long().to(device),
    )


def _channel_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return exact mean and standard deviation per channel, `(1, C, 1, 1)`, from a histogram."""
    counts = torch.stack(
        [torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(1)]
    ).double()
    levels = torch.arange(256, device=images.device)
    share = counts / counts.sum(1, keepdim=True)
    mean = (share * levels).sum(1)
    variance = (share * (levels - mean[:, None]) ** 2).sum(1)
    return mean.float().reshape(1, -1, 1, 1), variance.sqrt().float().reshape(1, -1, 1, 1)


def _take_balanced(split: Split, count: int) -> Split:
    """Return `count` examples of a split, as equally many of each class as possible.

    They come first in a fixed shuffle in which classes take turns, and keep the split's own order,
    so that all of a split is the split itself.
    """
    if count == len(split):
        return split
    labels = split.labels.cpu().numpy()
    shuffled = np.random.RandomState(0).permutation(len(labels))
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        turn[members] = np.arange(len(members))
    by_turn = shuffled[np.argsort(turn[shuffled], kind="stable")]
    kept = torch.from_numpy(np.sort(by_turn[:count])).to(split.labels.device)
    return Split(images=split.images[kept], labels=split.labels[kept])
