"""The data sets by name, with their dimensions and files; importing this loads no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trainables.spec import DataSpec, is_custom


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


def complete_data_spec(spec: DataSpec) -> DataSpec:
    """Return the spec with the defaults of a custom data set filled in.

    For a custom data set that reads from a stated root the digest is added, for which the data set
    is read. The module of a custom data set is imported.

    Raises:
        ValueError: an unknown name or option.
    """
    if is_custom(spec.name):
        from trainables.data.custom import complete_data_options, with_digest

        return with_digest(complete_data_options(spec))
    if spec.name not in DATASETS:
        raise ValueError(
            f"data set {spec.name!r} is not one of {', '.join(TRAINABLE)}; one of your own is "
            f"'package.module:attr'"
        )
    if spec.options:
        raise ValueError(f"{spec.name} has no `options`, which are a user's own data set's")
    if spec.digest:
        raise ValueError(f"{spec.name} has no `digest`, which is a user's own data set's")
    return spec


def full_dataset_info(spec: DataSpec) -> DatasetInfo:
    """Return the data set's entry before `num_train`, `num_test` and `augment` of the spec apply.

    A custom data set is read for its dimensions. Raises as `dataset_info`.
    """
    spec = complete_data_spec(spec)
    if is_custom(spec.name):
        from trainables.data.custom import custom_dataset_facts

        return custom_dataset_facts(spec).info
    return DATASETS[spec.name]


def dataset_info(spec: DataSpec) -> DatasetInfo:
    """Return the data set's entry as the spec limits it; `shape` is that of a model's input.

    Raises:
        ValueError: an unknown name, a limit beyond what the data set has, or images smaller than
            the crop.
        DataUnavailable: a custom data set that breaks the rules.
    """
    info = full_dataset_info(spec)
    limits = (
        ("num_train", spec.num_train, info.num_train),
        ("num_test", spec.num_test, info.num_test),
    )
    for name, limit, available in limits:
        if limit is not None and not 1 <= limit <= available:
            raise ValueError(
                f"`1 <= {name} <= {available}` must hold for {spec.name}, but got {name}={limit}"
            )
    channels, *sizes = info.shape
    crop = CROPS.get(spec.augment, min(sizes))
    if crop > min(sizes):
        raise ValueError(
            f"{spec.augment} needs images of {crop}x{crop} pixels, but those of {spec.name} "
            f"have {sizes[0]}x{sizes[1]}; use crop_flip"
        )
    return dataclasses.replace(
        info,
        shape=(channels, crop, crop),
        num_train=spec.num_train or info.num_train,
        num_test=spec.num_test or info.num_test,
    )
