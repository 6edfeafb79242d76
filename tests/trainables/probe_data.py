"""Data sets a user might bring, each odd in one way; named in specs as `probe_data:…`."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import numpy as np
import torch

calls = itertools.count()
PROCESS = uuid.uuid4()


def blobs(*, num_classes: int = 3, size: int = 8, channels: int = 1) -> dict[str, Any]:
    """Squares of noise that are brighter the higher their class."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % num_classes
    noise = rng.integers(0, 80, (150, channels, size, size))
    images = (noise + 50 * labels[:, None, None, None]).astype(np.uint8)
    return {
        "train_images": images[:100],
        "train_labels": labels[:100],
        "test_images": images[100:],
        "test_labels": labels[100:],
        "num_classes": num_classes,
    }


def tensors(**options: Any) -> dict[str, Any]:
    arrays = blobs(**options)
    return {k: torch.as_tensor(v) if k != "num_classes" else v for k, v in arrays.items()}


def counting() -> dict[str, Any]:
    """Another first pixel at each call."""
    found = blobs()
    found["train_images"][0, 0, 0, 0] = next(calls) % 256
    return found


def by_process() -> dict[str, Any]:
    """Other first pixels in every process."""
    found = blobs()
    found["train_images"][0, 0, :2] = np.frombuffer(PROCESS.bytes, np.uint8).reshape(2, 8)
    return found


def without_seed() -> dict[str, Any]:
    """Other images at each call, drawn without a seed."""
    return {**blobs(), "train_images": np.random.default_rng().integers(0, 9, (100, 1, 8, 8), "u1")}


def raising() -> dict[str, Any]:
    raise FileNotFoundError("no such file:\n/mnt/cells.npz")


def nothing() -> None:
    return None


changes: dict[str, Any] = {}


def changed() -> dict[str, Any]:
    """`blobs` with some of its parts replaced by what a test has put into `changes`."""
    parts = {**blobs(), **changes}
    return {key: value for key, value in parts.items() if value is not ...}
