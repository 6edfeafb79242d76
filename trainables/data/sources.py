"""Where the images come from: scikit-learn's digits, and torchvision's downloads in a data root.

A reader turns a name's files into `Raw` arrays. Nothing here downloads unless `download` is
called, so that many workers never write to one root at once.
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
    how_to_copy,
    missing_files,
    torchvision_class,
)
from trainables.errors import DataUnavailable, describe_error
from trainables.spec import is_custom

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Raw:
    """uint8 images `(N, C, H, W)` and labels `(N,)` of the training and the test split."""

    train_images: np.ndarray[Any, Any]
    train_labels: np.ndarray[Any, Any]
    test_images: np.ndarray[Any, Any]
    test_labels: np.ndarray[Any, Any]


def is_available(name: str, root: str | os.PathLike[str] | None = None) -> bool:
    """Whether the data set's files are in the root. Their content is checked when it is read.

    A user's own data set looks after its files itself.
    """
    if is_custom(name):
        return True
    missing = missing_files(name, data_root(root))
    return DATASETS[name].trainable and not missing


def read(name: str, root: str | os.PathLike[str] | None = None) -> Raw:
    """The data set's arrays; raises `DataUnavailable` where a file is missing or damaged."""
    folder = data_root(root)
    _require_trainable(name)
    if missing := missing_files(name, folder):
        raise DataUnavailable(
            f"{name} is not in {folder}: {missing[0]} is missing; {how_to_copy(name)}, get it with "
            f"`python -c \"from trainables import data; data.download('{name}')\"`, "
            f"or set {ROOT_VARIABLE} to a folder that has it"
        )
    try:
        raw = _READERS[name](folder)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise DataUnavailable(
            f"{name} in {folder} cannot be read: {_what_is_wrong(name, folder, error)}; remove "
            f"{DATASETS[name].folder}/ there, and it is unpacked or downloaded again"
        ) from error
    _verify(name, raw, folder)
    return raw


def verify(name: str, root: str | os.PathLike[str] | None = None) -> None:
    """Read the data set's files to see that they are whole; raises `DataUnavailable` if not."""
    if not is_custom(name) and DATASETS[name].files:
        read(name, root)


def download(name: str, root: str | os.PathLike[str] | None = None) -> None:
    """Download what is missing, with torchvision's checksums; one process at a time per root.

    Raises `DataUnavailable` where the network or the root does not allow it.
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
            f"{name} cannot be had in {folder}: {_what_is_wrong(name, folder, error)}; "
            f"{how_to_copy(name)} from a machine with a network, or set {ROOT_VARIABLE}"
        ) from error


def how_to_get(name: str, root: str | os.PathLike[str] | None = None) -> str | None:
    """What `download` would have to do, in a clause; None where the files are there."""
    folder = data_root(root)
    if is_custom(name) or not missing_files(name, folder):
        return None
    archives = DATASETS[name].archives
    if all((folder / file).is_file() for file in archives):
        return f"{archives[0]} there is unpacked"
    return "they are downloaded"


def _what_is_wrong(name: str, folder: Path, error: Exception) -> str:
    """The damaged file, if it can be told, else the error in its own words."""
    damaged = next(damaged_files(name, folder), None)
    return describe_error(error) if damaged is None else f"{damaged} is damaged (not the original)"


def _require_trainable(name: str) -> None:
    if name in DATASETS and not DATASETS[name].trainable:
        raise DataUnavailable(
            f"{name} is known here by its dimensions alone: parameters can be counted, but "
            f"nothing can be trained on it"
        )


def _verify(name: str, raw: Raw, folder: Path) -> None:
    info = DATASETS[name]
    expected = ((info.num_train, *info.shape), (info.num_test, *info.shape))
    found = (raw.train_images.shape, raw.test_images.shape)
    if found != expected:
        raise DataUnavailable(
            f"{name} in {folder} has images of shape {found[0]} and {found[1]}, "
            f"not {expected[0]} and {expected[1]}; remove {info.folder}/ there, and it is "
            f"unpacked or downloaded again"
        )


def _read_digits(folder: Path) -> Raw:
    """The 1797 grey 8x8 digits of scikit-learn, levels 0 to 16, in a fixed split.

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
    return Raw(images[train], labels[train], images[test], labels[test])


def _read_torchvision(name: str) -> Callable[[Path], Raw]:
    def read_splits(folder: Path) -> Raw:
        import numpy as np

        arrays: list[Any] = []
        for is_train in (True, False):
            split = torchvision_class(name)(folder, train=is_train)
            images = np.asarray(split.data)
            channels_first = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
            arrays += [np.ascontiguousarray(channels_first), np.asarray(split.targets)]
        return Raw(*arrays)

    return read_splits


_READERS: dict[str, Callable[[Path], Raw]] = {
    "digits": _read_digits,
    "fashion_mnist": _read_torchvision("fashion_mnist"),
    "cifar10": _read_torchvision("cifar10"),
    "cifar100": _read_torchvision("cifar100"),
}
