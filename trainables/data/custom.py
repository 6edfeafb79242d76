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

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from normmods.import_path import keyword_parameters, resolve
from trainables.data.custom_arrays import KEYS, CustomData, CustomFacts, checked
from trainables.errors import DataUnavailable, describe_error
from trainables.options import Options, complete_options
from trainables.spec import DataSpec

Key = tuple[str, Options, str]
"""A data set's name, its complete options, and the folder that it is told to read from."""

Known = Mapping[Key, CustomFacts]

_known: dict[Key, CustomFacts] = {}
_root: list[str] = []
"""The folder that the grid of this process states for a user's own data set, if it does."""


def use_root(root: str | os.PathLike[str] | None) -> None:
    """Have each data set that takes a `root` read from this folder in this process; None: none."""
    _root[:] = [] if root is None else [os.fspath(root)]


def takes_root(name: str) -> bool:
    """Whether a data set has a parameter `root`; raises `ValueError` if it cannot be imported."""
    return any(p.name == "root" for p in keyword_parameters(_target(name)))


def _requires_root(name: str) -> bool:
    parameters = keyword_parameters(_target(name))
    return any(p.name == "root" and p.default is p.empty for p in parameters)


def complete_data_options(spec: DataSpec) -> DataSpec:
    """The spec with all of the data set's options; imports its module.

    Raises `ValueError` where it cannot be imported or an option is wrong.
    """
    anyway = ("root",) if _root_of(spec.name) else ()
    if not anyway and "root" not in spec.options and _requires_root(spec.name):
        raise ValueError(
            f"{_named(spec.name)} has a parameter 'root', its folder, and none is stated; "
            f"write data: {{name: {spec.name}, root: …}}"
        )
    options = complete_options(_named(spec.name), _target(spec.name), spec.options, anyway)
    return replace(spec, options=options)


def with_digest(spec: DataSpec) -> DataSpec:
    """The spec with the digest of a data set that reads from a stated root; reads it for that."""
    if spec.digest or not _root_of(spec.name):
        return spec
    return replace(spec, digest=custom_facts(spec).digest)


def _root_of(name: str) -> str:
    return _root[0] if _root and takes_root(name) else ""


def _key(spec: DataSpec) -> Key:
    return spec.name, Options(complete_data_options(spec).options), _root_of(spec.name)


def read_custom_data(spec: DataSpec) -> CustomData:
    """The whole data set, whatever part the spec keeps; read once a process.

    Raises `DataUnavailable` where the callable raises, what it returns is no such data set, or
    its bits are not those that the spec's digest names.
    """
    data = _read_once(*_key(spec))
    _require_digest(spec, data.digest)
    return data


def custom_facts(spec: DataSpec) -> CustomFacts:
    """Dimensions and digest of the whole data set; read for them only where they are not known.

    Raises as `read_custom_data`.
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


def forget_data() -> None:
    """Forget every data set that was read, so that the next call reads it anew."""
    _known.clear()
    _read_once.cache_clear()


def require_repeatable(spec: DataSpec) -> None:
    """Raise `DataUnavailable` unless another process reads the same bits.

    Random numbers without a seed are others in every process, and so is the order of a set of
    strings. Within a process the data set is called once, so that a second call need not agree.
    """
    if _digest_elsewhere(spec) != custom_facts(spec).digest:
        raise DataUnavailable(
            f"{_named(spec.name)} has other images or labels in another process: trials could not "
            f"be compared; draw from a generator with a fixed seed, sort what comes from a set, "
            f"and use no process id or hash of strings"
        )


ELSEWHERE = """
import json, sys
from trainables.data.custom import (read_custom_data, use_root)
from trainables.spec import DataSpec
name, options, root = sys.argv[1:]
use_root(root or None)
print(read_custom_data(DataSpec(name=name, options=json.loads(options))).digest)
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
def _read_once(name: str, options: Options, root: str) -> CustomData:
    data = _call(name, {**options, "root": root} if root else options)
    before = _known.setdefault((name, options, root), data.facts)
    if before != data.facts:
        raise DataUnavailable(
            f"{_named(name)} has other images or labels than when it was read before: trials "
            f"could not be compared; draw from a generator with a fixed seed, and leave its files "
            f"as they are while a sweep runs"
        )
    return data


def _call(name: str, options: Mapping[str, Any]) -> CustomData:
    try:
        found = _target(name)(**options)
    except Exception as error:
        raise DataUnavailable(f"{_named(name)} cannot be read: {describe_error(error)}") from error
    try:
        return checked(found)
    except ValueError as error:
        raise DataUnavailable(f"{_named(name)}: {error}") from None


def _named(name: str) -> str:
    return f"data set {name!r}"


def _target(name: str) -> Callable[..., Any]:
    wanted = f"that returns a dict of {', '.join(KEYS)}"
    return resolve(name, named=_named(name), wanted=wanted)
