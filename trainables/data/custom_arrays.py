"""Validation and digest of the arrays that a custom data set returns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainables.data.catalog import DatasetInfo
from trainables.errors import describe_error

if TYPE_CHECKING:
    import numpy as np

    from trainables.data.sources import DatasetArrays

    Array = np.ndarray[Any, Any]

IMAGES, LABELS = ("train_images", "test_images"), ("train_labels", "test_labels")
"""Keys of the images and of the labels."""

KEYS = ("train_images", "train_labels", "test_images", "test_labels", "num_classes")
"""All keys of the dictionary that a custom data set returns."""


@dataclass(frozen=True)
class DatasetFacts:
    """Dimensions of a custom data set, and the digest of its arrays' bits."""

    info: DatasetInfo
    digest: str


@dataclass(frozen=True)
class CustomData:
    """The validated arrays of a custom data set, and the digest of their bits."""

    raw: DatasetArrays
    num_classes: int
    digest: str

    @property
    def facts(self) -> DatasetFacts:
        """Dimensions and digest, without the arrays."""
        raw = self.raw
        channels, height, width = raw.train_images.shape[1:]
        sizes = len(raw.train_labels), len(raw.test_labels)
        return DatasetFacts(
            DatasetInfo(self.num_classes, (channels, height, width), *sizes), self.digest
        )


def validate_arrays(found: Any) -> CustomData:
    """Return the data set from the dictionary that a custom data set returned.

    Raises:
        ValueError: a part is missing or wrong; the message names the part.
    """
    from trainables.data.sources import DatasetArrays

    if not isinstance(found, Mapping):
        raise ValueError(f"expected a dict of {', '.join(KEYS)}, found {type(found).__name__}")
    if absent := [key for key in KEYS if key not in found]:
        raise ValueError(f"{absent[0]} is missing; expected {', '.join(KEYS)}")
    if unknown := [key for key in found if key not in KEYS]:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(KEYS)}")
    num_classes = found["num_classes"]
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(f"num_classes: expected a whole number >= 2, found {num_classes!r}")
    images = {key: _validate_images(key, found[key]) for key in IMAGES}
    train, test = (images[key].shape[1:] for key in IMAGES)
    if train != test:
        raise ValueError(f"test_images have shape {test}, but train_images have {train}")
    flat = images["train_images"].min((0, 2, 3)) == images["train_images"].max((0, 2, 3))
    if flat.any():
        raise ValueError(
            f"train_images: channel {int(flat.argmax())} is the same everywhere, and cannot be "
            f"standardised; leave it out"
        )
    labels = {
        key: _validate_labels(key, found[key], len(images[of]), num_classes)
        for key, of in zip(LABELS, IMAGES, strict=True)
    }
    raw = DatasetArrays(**images, **labels)
    return CustomData(raw, num_classes, _digest(raw, num_classes))


def _validate_images(key: str, value: Any) -> Array:
    """Return a copy of uint8 images `(N, C, H, H)`; raises `ValueError` for anything else."""
    images = _copy_array(key, value)
    shape = images.shape
    if images.dtype != "uint8":
        hint = "; scale them to 0 to 255" if images.dtype.kind == "f" else ""
        raise ValueError(f"{key}: expected uint8, found {images.dtype}{hint}")
    if images.ndim != 4:
        hint = f"; add the channel, {key}[:, None]" if images.ndim == 3 else ""
        raise ValueError(f"{key}: expected shape (N, C, H, W), found {shape}{hint}")
    if 0 in shape:
        raise ValueError(f"{key}: expected some images, found shape {shape}")
    if shape[2] != shape[3]:
        last = shape[1] == shape[2]
        hint = "; move the channels, .transpose(0, 3, 1, 2)" if last else "; pad or crop them"
        raise ValueError(f"{key}: expected square images (N, C, H, H), found {shape}{hint}")
    return images


def _validate_labels(key: str, value: Any, num_images: int, num_classes: int) -> Array:
    """Return int64 labels `(N,)`; raises `ValueError` for a wrong type, shape or value."""
    labels = _copy_array(key, value)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{key}: expected whole numbers, found {labels.dtype}")
    if labels.shape != (num_images,):
        raise ValueError(f"{key}: expected shape ({num_images},), found {labels.shape}")
    wrong = (labels < 0) | (labels >= num_classes)
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f"{key}: expected labels from 0 to {num_classes - 1} (num_classes={num_classes}), "
            f"found {labels[first]} at {first}"
        )
    return labels.astype("int64")


def _copy_array(key: str, value: Any) -> Array:
    """Return `value` as a NumPy array that shares no memory with it."""
    import numpy as np

    try:
        array = np.asarray(value).copy(order="C")
    except Exception as error:
        raise ValueError(f"{key}: expected an array, found {describe_error(error)}") from None
    if array.dtype.kind == "O" or not array.ndim:
        raise ValueError(f"{key}: expected an array, found {type(value).__name__}")
    return array


def _digest(raw: DatasetArrays, num_classes: int) -> str:
    """Return the first 12 hex digits of the SHA-256 of the arrays and the number of classes."""
    digest = hashlib.sha256(str(num_classes).encode())
    for array in (raw.train_images, raw.train_labels, raw.test_images, raw.test_labels):
        digest.update(f"{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]
