"""A data set's files below the data root: their folder, and which are missing or damaged."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trainables.data.catalog import DATASETS

ROOT_VARIABLE = "NORM_SWEEP_DATA"
"""The environment variable that names the data root."""


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Return `root`, else the folder in `$NORM_SWEEP_DATA`, else `~/.cache/norm-sweep/data`."""
    chosen = root or os.environ.get(ROOT_VARIABLE) or "~/.cache/norm-sweep/data"
    return Path(chosen).expanduser().absolute()


def missing_files(name: str, folder: Path) -> list[str]:
    """Return the data set's files that are not in the folder."""
    if name not in DATASETS:
        raise ValueError(f"data set {name!r} is not one of {', '.join(DATASETS)}")
    return [file for file in DATASETS[name].files if not (folder / file).is_file()]


def describe_manual_copy(name: str) -> str:
    """Return a clause that tells what to copy into the data root by hand."""
    info = DATASETS[name]
    if info.archives and not info.archives[0].startswith(f"{info.folder}/"):
        return f"copy {info.archives[0]} or the folder {info.folder}/ there"
    return f"copy the folder {info.folder}/ there, its files as they are or with .gz"


def damaged_files(name: str, folder: Path) -> Iterator[str]:
    """Yield the files with a wrong checksum or, where torchvision has no checksum, a wrong size."""
    from torchvision.datasets.utils import check_integrity

    for file, checksum in _checksums(name).items():
        if (folder / file).is_file() and not check_integrity(folder / file, checksum):
            yield file
    for file, size in _idx_sizes(name).items():
        if (folder / file).is_file() and (folder / file).stat().st_size != size:
            yield file


def _checksums(name: str) -> dict[str, str]:
    """Return torchvision's MD5 sums by file."""
    kind: Any = torchvision_class(name)
    if name == "fashion_mnist":
        return {f"{DATASETS[name].folder}/{file}": md5 for file, md5 in kind.resources}
    files = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
    unpacked = {f"{kind.base_folder}/{file}": md5 for file, md5 in files}
    return {**unpacked, kind.filename: kind.tgz_md5}


def _idx_sizes(name: str) -> dict[str, int]:
    """Return the size in bytes of each of Fashion-MNIST's files.

    A file has a header of 16 or 8 bytes, and a byte a value.
    """
    if name != "fashion_mnist":
        return {}
    info = DATASETS[name]
    counts = (info.num_train, info.num_test)
    sizes = [size for n in counts for size in (16 + n * math.prod(info.shape), 8 + n)]
    return dict(zip(info.files, sizes, strict=True))


def torchvision_class(name: str) -> Callable[..., Any]:
    """Return torchvision's class that reads, downloads and checks the data set."""
    from torchvision import datasets

    classes: dict[str, Callable[..., Any]] = {
        "fashion_mnist": datasets.FashionMNIST,
        "cifar10": datasets.CIFAR10,
        "cifar100": datasets.CIFAR100,
    }
    return classes[name]
