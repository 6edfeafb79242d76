"""CIFAR's files in their original format, with random images and the checksums to match."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.data import catalog, files, sources

Images = np.ndarray[Any, Any]


def shrink(patch: pytest.MonkeyPatch, name: str, num_train: int, num_test: int) -> None:
    """Have the reader expect so few images."""
    info = catalog.DATASETS[name]
    small = dataclasses.replace(info, num_train=num_train, num_test=num_test)
    for module in (sources, files):
        patch.setattr(module, "DATASETS", {**module.DATASETS, name: small})


def write_cifar(
    root: Path, patch: pytest.MonkeyPatch, name: str = "cifar10", *, per_file: int = 2
) -> Images:
    """The data set's folder with so many images a file; returns all images, channels first."""
    from torchvision import datasets

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    rng = np.random.default_rng(0)
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    images, sums = [], {}
    for number, (file, _) in enumerate([*kind.train_list, *kind.test_list]):
        rows = rng.integers(0, 256, (per_file, 3072), np.uint8)
        labels = [number, *range(9, 8 + per_file)]
        content = {"data": rows, **_labels(name, [label % 10 for label in labels])}
        sums[file] = _write(folder / file, content)
        images.append(rows.reshape(per_file, 3, 32, 32))
    names = {"label_names": list("abcdefghij"), "fine_label_names": [str(i) for i in range(100)]}
    meta = _write(folder / kind.meta["filename"], names)
    patch.setattr(kind, "train_list", [[file, sums[file]] for file, _ in kind.train_list])
    patch.setattr(kind, "test_list", [[file, sums[file]] for file, _ in kind.test_list])
    patch.setattr(kind, "meta", {**kind.meta, "md5": meta})
    shrink(patch, name, per_file * len(kind.train_list), per_file)
    return np.concatenate(images)


def pack(root: Path, patch: pytest.MonkeyPatch, name: str = "cifar10") -> None:
    """Replace the data set's folder by the archive that is downloaded."""
    from torchvision import datasets

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    folder, buffer = root / kind.base_folder, io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder, kind.base_folder)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    (root / kind.filename).write_bytes(buffer.getvalue())
    patch.setattr(kind, "tgz_md5", hashlib.md5(buffer.getvalue()).hexdigest())


def _labels(name: str, labels: list[int]) -> dict[str, list[int]]:
    if name == "cifar10":
        return {"labels": labels}
    return {"fine_labels": [10 * label for label in labels], "coarse_labels": labels}


def _write(file: Path, content: dict[str, Any]) -> str:
    payload = pickle.dumps(content)
    file.write_bytes(payload)
    return hashlib.md5(payload).hexdigest()
