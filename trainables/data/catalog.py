"""The data sets by name, with what a grid needs to know of each; importing this loads no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trainables.spec import DataSpec, is_custom


@dataclass(frozen=True)
class DatasetInfo:
    """`shape` is `(C, H, W)`; `files`, below the data root, are empty where a package has them.

    `archives`, below the root too, are what the files are unpacked from. What is not `trainable`
    is known by its dimensions alone: enough to count parameters.
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

TRAINABLE = tuple(name for name, info in DATASETS.items() if info.trainable)
"""The names of the data sets that a trial can train on."""

CROPS: Mapping[str, int] = MappingProxyType({"crop24_flip": 24})
"""Height and width to which an augmentation crops; the others keep the image's own."""


def with_defaults(spec: DataSpec) -> DataSpec:
    """The spec with the defaults of a user's own data set where it states none.

    Of one that reads from a stated root the digest is added, for which it is read. Raises
    `ValueError` for an unknown name or option; imports the module of a user's own.
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


def whole_info(spec: DataSpec) -> DatasetInfo:
    """The data set's entry, whatever part of it the spec keeps; raises as `dataset_info`.

    A user's own data set is read for it.
    """
    spec = with_defaults(spec)
    if is_custom(spec.name):
        from trainables.data.custom import custom_facts

        return custom_facts(spec).info
    return DATASETS[spec.name]


def dataset_info(spec: DataSpec) -> DatasetInfo:
    """The data set's entry as the spec limits it; `shape` is what a model is given.

    Raises `ValueError` for an unknown name, a limit beyond what the data set has, or images
    smaller than the crop, and `DataUnavailable` for a user's own data set that is not right.
    """
    info = whole_info(spec)
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
