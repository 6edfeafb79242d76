"""The data sets by name, with their dimensions and files; importing this loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class DatasetInfo:
    """Dimensions and files of a data set.

    Attributes:
        num_classes: number of classes.
        shape: an image's shape `(C, H, W)`.
        num_train: training examples.
        num_test: test examples.
        files: paths below the data root; empty if a Python package contains the data set.
        archives: paths below the data root from which the files are unpacked.
        trainable: False for a data set of which only the dimensions are known: enough to count
            parameters.
    """

    num_classes: int
    shape: tuple[int, int, int]
    num_train: int
    num_test: int
    files: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    trainable: bool = True

    @property
    def folder(self) -> str:
        """The folder of the files, below the data root."""
        return self.files[0].rpartition("/")[0]


_CIFAR10_FILES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
_CIFAR100_FILES = ("train", "test", "meta")
_FASHION_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_FASHION = tuple(f"FashionMNIST/raw/{file}" for file in _FASHION_FILES)

DATASETS: Mapping[str, DatasetInfo] = MappingProxyType(
    {
        "digits": DatasetInfo(10, (1, 8, 8), 1437, 360),
        "fashion_mnist": DatasetInfo(
            10, (1, 28, 28), 60_000, 10_000, _FASHION, tuple(f"{file}.gz" for file in _FASHION)
        ),
        "cifar10": DatasetInfo(
            10,
            (3, 32, 32),
            50_000,
            10_000,
            tuple(f"cifar-10-batches-py/{f}" for f in _CIFAR10_FILES),
            ("cifar-10-python.tar.gz",),
        ),
        "cifar100": DatasetInfo(
            100,
            (3, 32, 32),
            50_000,
            10_000,
            tuple(f"cifar-100-python/{f}" for f in _CIFAR100_FILES),
            ("cifar-100-python.tar.gz",),
        ),
        "imagenet": DatasetInfo(1000, (3, 224, 224), 1_281_167, 50_000, trainable=False),
    }
)
"""The built-in data sets by name."""


TRAINABLE = tuple(name for name, info in DATASETS.items() if info.trainable)
"""The names of the data sets that a trial can train on."""

CROPS: Mapping[str, int] = MappingProxyType({"crop24_flip": 24})
"""Height and width of the crops by augmentation; any other augmentation keeps the image's size."""
