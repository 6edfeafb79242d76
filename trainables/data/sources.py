"""Readers of the built-in data sets: scikit-learn's digits, and torchvision's downloads.

A reader turns files into `DatasetArrays`. Only `download` uses the network, so that many
workers never write to one data root at once.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.data.catalog import DATASETS
from trainables.data.files import (
    ROOT_VARIABLE,
    damaged_files,
    data_root,
    describe_manual_copy,
    missing_files,
    torchvision_class,
)
from trainables.errors import DataUnavailable, describe_error
from trainables.spec import is_custom

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class DatasetArrays:
    """uint8 images `(N, C, H, W)` and labels `(N,)` of the training and the test split."""

    train_images: np.ndarray[Any, Any]
    train_labels: np.ndarray[Any, Any]
    test_images: np.ndarray[Any, Any]
    test_labels: np.ndarray[Any, Any]


def is_available(name: str, root: str | os.PathLike[str] | None = None) -> bool:
    """Whether the data set's files are in the data root; their content is checked when read.

    A custom data set manages its files itself and counts as available.
    """
    if is_custom(name):
        return True
    missing = missing_files(name, data_root(root))
    return DATASETS[name].trainable and not missing


def read_arrays(name: str, root: str | os.PathLike[str] | None = None) -> DatasetArrays:
    """Return the data set's arrays; raises `DataUnavailable` if a file is missing or damaged."""
    folder = data_root(root)
    _require_trainable(name)
    if missing := missing_files(name, folder):
        raise DataUnavailable(
            f"{name} is not in {folder}: {missing[0]} is missing; "
            f"{describe_manual_copy(name)}, get it with "
            f"`python -c \"from trainables import data; data.download('{name}')\"`, "
            f"or set {ROOT_VARIABLE} to a folder that has it"
        )
    try:
        raw = _READERS[name](folder)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise DataUnavailable(
            f"{name} in {folder} cannot be read: {_describe_damage(name, folder, error)}; remove "
            f"{DATASETS[name].folder}/ there, and it is unpacked or downloaded again"
        ) from error
    _require_expected_shapes(name, raw, folder)
    return raw


def verify(name: str, root: str | os.PathLike[str] | None = None) -> None:
    """Read the data set's files; raises `DataUnavailable` if one is missing or damaged."""
    if not is_custom(name) and DATASETS[name].files:
        read_arrays(name, root)


def download(name: str, root: str | os.PathLike[str] | None = None) -> None:
    """Download the data set's missing files, checked by torchvision's checksums.

    At most one process at a time may do this for a data root.

    Args:
        name: a built-in data set.
        root: the data root (default: see `data_root`).

    Raises:
        DataUnavailable: the network or the root does not allow the download.
    """
    folder = data_root(root)
    _require_trainable(name)
    if is_custom(name) or not missing_files(name, folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torchvision_class(name)(folder, download=True)
    except (OSError, RuntimeError) as error:
        raise DataUnavailable(
            f"{name} cannot be had in {folder}: {_describe_damage(name, folder, error)}; "
            f"{describe_manual_copy(name)} from a machine with a network, or set {ROOT_VARIABLE}"
        ) from error


def describe_download(name: str, root: str | os.PathLike[str] | None = None) -> str | None:
    """Return a clause that tells what `download` would do; None if all files are present."""
    folder = data_root(root)
    if is_custom(name) or not missing_files(name, folder):
        return None
    archives = DATASETS[name].archives
    if all((folder / file).is_file() for file in archives):
        return f"{archives[0]} there is unpacked"
    return "they are downloaded"


def _describe_damage(name: str, folder: Path, error: Exception) -> str:
    """Return which file is damaged, or, if none is found, the error's type and message."""
    damaged = next(damaged_files(name, folder), None)
    return describe_error(error) if damaged is None else f"{damaged} is damaged (not the original)"


def _require_trainable(name: str) -> None:
    """Raise `DataUnavailable` for a data set without images, known by its dimensions alone."""
    if name in DATASETS and not DATASETS[name].trainable:
        raise DataUnavailable(
            f"{name} is known here by its dimensions alone: parameters can be counted, but "
            f"nothing can be trained on it"
        )


def _require_expected_shapes(name: str, raw: DatasetArrays, folder: Path) -> None:
    """Raise `DataUnavailable` if the images have other shapes than the catalog says."""
    info = DATASETS[name]
    expected = ((info.num_train, *info.shape), (info.num_test, *info.shape))
    found = (raw.train_images.shape, raw.test_images.shape)
    if found != expected:
        raise DataUnavailable(
            f"{name} in {folder} has images of shape {found[0]} and {found[1]}, "
            f"not {expected[0]} and {expected[1]}; remove {info.folder}/ there, and it is "
            f"unpacked or downloaded again"
        )


def _read_digits(folder: Path) -> DatasetArrays:
    """Return the 1797 grey 8x8 digits of scikit-learn, levels 0 to 16, in a fixed split.

    They are read from the package's file: importing scikit-learn takes longer than a small trial.
    Ordered by class, every fifth example from the first is for testing: 360, and 1437 to train
    on, each class in its share to within one example. Both are then shuffled once, with NumPy's
    frozen legacy generator.
    """
    import numpy as np

    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataUnavailable("digits come with scikit-learn, which is not installed here")
    table = np.loadtxt(
        Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz",
        delimiter=",",
        dtype=np.uint8,
    )
    images, labels = table[:, :64].reshape(-1, 1, 8, 8), table[:, 64]
    by_class = np.argsort(labels, kind="stable")
    is_test = np.zeros(len(labels), dtype=bool)
    is_test[by_class[::5]] = True
    shuffled = np.random.RandomState(0).permutation(len(labels))
    train, test = shuffled[~is_test[shuffled]], shuffled[is_test[shuffled]]
    return DatasetArrays(images[train], labels[train], images[test], labels[test])


def _read_torchvision(name: str) -> Callable[[Path], DatasetArrays]:
    """Return a reader of torchvision's data set of this name."""

    def read_splits(folder: Path) -> DatasetArrays:
        """Return both splits' arrays with the channels first."""
        import numpy as np

        arrays: list[Any] = []
        for is_train in (True, False):
            split = torchvision_class(name)(folder, train=is_train)
            images = np.asarray(split.data)
            channels_first = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
            arrays += [np.ascontiguousarray(channels_first), np.asarray(split.targets)]
        return DatasetArrays(*arrays)

    return read_splits


_READERS: dict[str, Callable[[Path], DatasetArrays]] = {
    "digits": _read_digits,
    "fashion_mnist": _read_torchvision("fashion_mnist"),
    "cifar10": _read_torchvision("cifar10"),
    "cifar100": _read_torchvision("cifar100"),
}
