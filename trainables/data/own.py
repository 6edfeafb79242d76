"""A user's own data set, named `package.module:attr`: called once a process, and checked.

    def cells(*, size=32):
        return {
            "train_images": ...,  # uint8 (N, C, H, H)
            "train_labels": ...,  # whole numbers (N,), from 0 to num_classes - 1
            "test_images": ...,
            "test_labels": ...,
            "num_classes": 5,
        }

Arrays of NumPy or tensors of torch; what the callable takes are the data set's options.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from normmods.import_path import keyword_parameters, resolve
from trainables.data.catalog import DatasetInfo
from trainables.errors import DataUnavailable, reason
from trainables.options import Options, complete_options
from trainables.spec import DataSpec

if TYPE_CHECKING:
    import numpy as np

    from trainables.data.sources import Raw

    Array = np.ndarray[Any, Any]

IMAGES, LABELS = ("train_images", "test_images"), ("train_labels", "test_labels")
KEYS = ("train_images", "train_labels", "test_images", "test_labels", "num_classes")


@dataclass(frozen=True)
class OwnFacts:
    """What is known of a data set without its arrays; `digest` names their bits."""

    info: DatasetInfo
    digest: str


@dataclass(frozen=True)
class OwnData:
    """The arrays as checked; `digest` names their bits."""

    raw: Raw
    num_classes: int
    digest: str

    @property
    def facts(self) -> OwnFacts:
        """What a grid needs to know."""
        raw = self.raw
        channels, height, width = raw.train_images.shape[1:]
        sizes = len(raw.train_labels), len(raw.test_labels)
        return OwnFacts(
            DatasetInfo(self.num_classes, (channels, height, width), *sizes), self.digest
        )


Key = tuple[str, Options, str]
"""A data set's name, its complete options, and the folder that it is told to read from."""

Known = Mapping[Key, OwnFacts]

_known: dict[Key, OwnFacts] = {}
_root: list[str] = []
"""The folder that the grid of this process states for a user's own data set, if it does."""


def use_root(root: str | os.PathLike[str] | None) -> None:
    """Have each data set that takes a `root` read from this folder in this process; None: none."""
    _root[:] = [] if root is None else [os.fspath(root)]


def takes_root(name: str) -> bool:
    """Whether a data set has a parameter `root`; raises `ValueError` if it cannot be imported."""
    return any(p.name == "root" for p in keyword_parameters(_target(name)))


def completed(spec: DataSpec) -> DataSpec:
    """The spec with all of the data set's options; imports its module.

    Raises `ValueError` where it cannot be imported or an option is wrong.
    """
    anyway = ("root",) if _root_of(spec.name) else ()
    options = complete_options(_named(spec.name), _target(spec.name), spec.options, anyway)
    return replace(spec, options=options)


def identified(spec: DataSpec) -> DataSpec:
    """The spec with the digest of a data set that reads from a stated root; reads it for that."""
    if spec.digest or not _root_of(spec.name):
        return spec
    return replace(spec, digest=own_facts(spec).digest)


def _root_of(name: str) -> str:
    return _root[0] if _root and takes_root(name) else ""


def _key(spec: DataSpec) -> Key:
    return spec.name, Options(completed(spec).options), _root_of(spec.name)


def read_own(spec: DataSpec) -> OwnData:
    """The whole data set, whatever part the spec keeps; read once a process.

    Raises `DataUnavailable` where the callable raises, what it returns is no such data set, or
    its bits are not those that the spec's digest names.
    """
    data = _read_once(*_key(spec))
    _require_digest(spec, data.digest)
    return data


def own_facts(spec: DataSpec) -> OwnFacts:
    """Dimensions and digest of the whole data set; read for them only where they are not known.

    Raises as `read_own`.
    """
    key = _key(spec)
    facts = _known[key] if key in _known else _read_once(*key).facts
    _require_digest(spec, facts.digest)
    return facts


def _require_digest(spec: DataSpec, found: str) -> None:
    if spec.digest and found != spec.digest:
        raise DataUnavailable(
            f"{_named(spec.name)} has other images or labels than are asked for: expected the "
            f"digest {spec.digest}, found {found}"
        )


def known_facts() -> Known:
    """The facts of every data set that this process has read or been told of."""
    return dict(_known)


def learn_facts(known: Known) -> None:
    """Take over what another process has read, which spares this one a call of the data set."""
    _known.update(known)


def forget() -> None:
    """Forget every data set that was read, so that the next call reads it anew."""
    _known.clear()
    _read_once.cache_clear()


def require_repeatable(spec: DataSpec) -> None:
    """Raise `DataUnavailable` unless another process reads the same bits.

    Random numbers without a seed are others in every process, and so is the order of a set of
    strings. Within a process the data set is called once, so that a second call need not agree.
    """
    if _digest_elsewhere(spec) != own_facts(spec).digest:
        raise DataUnavailable(
            f"{_named(spec.name)} has other images or labels in another process: trials could not "
            f"be compared; draw from a generator with a fixed seed, sort what comes from a set, "
            f"and use no process id or hash of strings"
        )


ELSEWHERE = """
import json, sys
from trainables.data.own import read_own, use_root
from trainables.spec import DataSpec
name, options, root = sys.argv[1:]
use_root(root or None)
print(read_own(DataSpec(name=name, options=json.loads(options))).digest)
"""


def _digest_elsewhere(spec: DataSpec) -> str:
    options, root = json.dumps(dict(spec.options)), _root_of(spec.name)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, spec.name, options, root],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise DataUnavailable(f"{_named(spec.name)} cannot be read in another process: {why}")
    return done.stdout.split()[-1]


@lru_cache(maxsize=2)
def _read_once(name: str, options: Options, root: str) -> OwnData:
    data = _call(name, {**options, "root": root} if root else options)
    before = _known.setdefault((name, options, root), data.facts)
    if before != data.facts:
        raise DataUnavailable(
            f"{_named(name)} has other images or labels than when it was read before: trials "
            f"could not be compared; draw from a generator with a fixed seed, and leave its files "
            f"as they are while a sweep runs"
        )
    return data


def _call(name: str, options: Mapping[str, Any]) -> OwnData:
    try:
        found = _target(name)(**options)
    except Exception as error:
        raise DataUnavailable(f"{_named(name)} cannot be read: {reason(error)}") from error
    try:
        return _checked(found)
    except ValueError as error:
        raise DataUnavailable(f"{_named(name)}: {error}") from None


def _checked(found: Any) -> OwnData:
    """The data set from what was returned; `ValueError` names the part that is wrong."""
    from trainables.data.sources import Raw

    if not isinstance(found, Mapping):
        raise ValueError(f"expected a dict of {', '.join(KEYS)}, found {type(found).__name__}")
    if absent := [key for key in KEYS if key not in found]:
        raise ValueError(f"{absent[0]} is missing; expected {', '.join(KEYS)}")
    if unknown := [key for key in found if key not in KEYS]:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(KEYS)}")
    num_classes = found["num_classes"]
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(f"num_classes: expected a whole number >= 2, found {num_classes!r}")
    images = {key: _images(key, found[key]) for key in IMAGES}
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
        key: _labels(key, found[key], len(images[of]), num_classes)
        for key, of in zip(LABELS, IMAGES, strict=True)
    }
    raw = Raw(**images, **labels)
    return OwnData(raw, num_classes, _digest(raw, num_classes))


def _images(key: str, value: Any) -> Array:
    images = _array(key, value)
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


def _labels(key: str, value: Any, num_images: int, num_classes: int) -> Array:
    labels = _array(key, value)
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


def _array(key: str, value: Any) -> Array:
    """A copy, which nobody else can change."""
    import numpy as np

    try:
        array = np.asarray(value).copy(order="C")
    except Exception as error:
        raise ValueError(f"{key}: expected an array, found {reason(error)}") from None
    if array.dtype.kind == "O" or not array.ndim:
        raise ValueError(f"{key}: expected an array, found {type(value).__name__}")
    return array


def _digest(raw: Raw, num_classes: int) -> str:
    digest = hashlib.sha256(str(num_classes).encode())
    for array in (raw.train_images, raw.train_labels, raw.test_images, raw.test_labels):
        digest.update(f"{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def _named(name: str) -> str:
    return f"data set {name!r}"


def _target(name: str) -> Callable[..., Any]:
    wanted = f"that returns a dict of {', '.join(KEYS)}"
    return resolve(name, named=_named(name), wanted=wanted)
