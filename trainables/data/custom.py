"""A custom data set, named `package.module:attr`: called once a process, and checked.

    def cells(*, size=32):
        return {
            "train_images": ...,  # uint8 (N, C, H, H)
            "train_labels": ...,  # whole numbers (N,), from 0 to num_classes - 1
            "test_images": ...,
            "test_labels": ...,
            "num_classes": 5,
        }

The arrays are NumPy's or tensors of torch. The callable's parameters are the data set's options.
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

from normmods.import_path import import_callable, keyword_parameters
from trainables.data.custom_arrays import KEYS, CustomData, DatasetFacts, validate_arrays
from trainables.errors import DataUnavailable, describe_error
from trainables.options import Options, complete_options
from trainables.spec import DataSpec

Key = tuple[str, Options, str]
"""A data set's name, its complete options, and the folder that it reads from."""

FactsByDataset = Mapping[Key, DatasetFacts]
"""Dimensions and digests of custom data sets, by name, options and folder."""


_facts: dict[Key, DatasetFacts] = {}
_root: list[str] = []
"""The folder that the grid of this process states for custom data sets; empty if it states none."""


def set_custom_data_root(root: str | os.PathLike[str] | None) -> None:
    """Set the folder from which custom data sets with a `root` parameter read in this process.

    None unsets the folder: the data sets then use their own default.
    """
    _root[:] = [] if root is None else [os.fspath(root)]


def has_root_parameter(name: str) -> bool:
    """Whether a custom data set has a parameter `root`; raises `ValueError` if the import fails."""
    return any(p.name == "root" for p in keyword_parameters(_import_dataset(name)))


def _requires_root(name: str) -> bool:
    """Return whether a custom data set has a parameter `root` without a default."""
    parameters = keyword_parameters(_import_dataset(name))
    return any(p.name == "root" and p.default is p.empty for p in parameters)


def complete_data_options(spec: DataSpec) -> DataSpec:
    """Return the spec with all options of a custom data set; imports its module.

    Raises:
        ValueError: the module cannot be imported, or an option is wrong.
    """
    anyway = ("root",) if _stated_root(spec.name) else ()
    if not anyway and "root" not in spec.options and _requires_root(spec.name):
        raise ValueError(
            f"{_quote_name(spec.name)} has a parameter 'root', its folder, and none is stated; "
            f"write data: {{name: {spec.name}, root: …}}"
        )
    options = complete_options(
        _quote_name(spec.name), _import_dataset(spec.name), spec.options, anyway
    )
    return replace(spec, options=options)


def with_digest(spec: DataSpec) -> DataSpec:
    """Return the spec with the digest of a data set that reads from a stated root, reading it."""
    if spec.digest or not _stated_root(spec.name):
        return spec
    return replace(spec, digest=custom_dataset_facts(spec).digest)


def _stated_root(name: str) -> str:
    """Return the stated folder for a data set with a `root` parameter; "" if there is none."""
    return _root[0] if _root and has_root_parameter(name) else ""


def _facts_key(spec: DataSpec) -> Key:
    """Return the key of the spec's data set in this process's cache of facts."""
    return spec.name, Options(complete_data_options(spec).options), _stated_root(spec.name)


def read_custom_data(spec: DataSpec) -> CustomData:
    """Return the arrays of the whole data set, which is read once a process.

    Raises:
        DataUnavailable: the callable raises or returns no valid data set, or the bits do not have
            the digest of the spec.
    """
    data = _read_once(*_facts_key(spec))
    _require_digest(spec, data.digest)
    return data


def custom_dataset_facts(spec: DataSpec) -> DatasetFacts:
    """Return dimensions and digest of the whole data set, which is read if they are not yet known.

    Raises as `read_custom_data`.
    """
    key = _facts_key(spec)
    facts = _facts[key] if key in _facts else _read_once(*key).facts
    _require_digest(spec, facts.digest)
    return facts


def _require_digest(spec: DataSpec, found: str) -> None:
    """Raise `DataUnavailable` if the spec states a digest other than `found`."""
    if spec.digest and found != spec.digest:
        raise DataUnavailable(
            f"{_quote_name(spec.name)} has other images or labels than are asked for: expected "
            f"the digest {spec.digest}, found {found}"
        )


def export_dataset_facts() -> FactsByDataset:
    """Return the facts of every custom data set that this process has read or imported."""
    return dict(_facts)


def import_dataset_facts(known: FactsByDataset) -> None:
    """Add facts exported by another process, which spares this process reading the data sets."""
    _facts.update(known)


def clear_custom_data_cache() -> None:
    """Drop all custom data sets and facts, so that the next call reads a data set anew."""
    _facts.clear()
    _read_once.cache_clear()


def require_repeatable_data(spec: DataSpec) -> None:
    """Raise `DataUnavailable` if another process reads other bits from the custom data set.

    Random numbers without a seed differ between processes, and so does the order of a set of
    strings. Within a process the data set is called once, so that a second call need not agree.
    """
    if _digest_in_new_process(spec) != custom_dataset_facts(spec).digest:
        raise DataUnavailable(
            f"{_quote_name(spec.name)} has other images or labels in another process: trials could "
            f"not be compared; draw from a generator with a fixed seed, sort what comes from a "
            f"set, and use no process id or hash of strings"
        )


DIGEST_PROGRAM = """
import json, sys
from trainables.data.custom import (read_custom_data, set_custom_data_root)
from trainables.spec import DataSpec
name, options, root = sys.argv[1:]
set_custom_data_root(root or None)
print(read_custom_data(DataSpec(name=name, options=json.loads(options))).digest)
"""
"""Program of the other process, which prints the digest of the data set in its arguments."""


def _digest_in_new_process(spec: DataSpec) -> str:
    """Return the digest of the data set as a new Python process reads it."""
    options, root = json.dumps(dict(spec.options)), _stated_root(spec.name)
    done = subprocess.run(
        [sys.executable, "-c", DIGEST_PROGRAM, spec.name, options, root],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise DataUnavailable(f"{_quote_name(spec.name)} cannot be read in another process: {why}")
    return done.stdout.split()[-1]


@lru_cache(maxsize=2)
def _read_once(name: str, options: Options, root: str) -> CustomData:
    """Read the data set and record its facts; raises if it differs from an earlier reading."""
    data = _call_dataset(name, {**options, "root": root} if root else options)
    before = _facts.setdefault((name, options, root), data.facts)
    if before != data.facts:
        raise DataUnavailable(
            f"{_quote_name(name)} has other images or labels than when it was read before: trials "
            f"could not be compared; draw from a generator with a fixed seed, and leave its files "
            f"as they are while a sweep runs"
        )
    return data


def _call_dataset(name: str, options: Mapping[str, Any]) -> CustomData:
    """Call the data set with its options and validate the arrays that it returns."""
    try:
        found = _import_dataset(name)(**options)
    except Exception as error:
        raise DataUnavailable(
            f"{_quote_name(name)} cannot be read: {describe_error(error)}"
        ) from error
    try:
        return validate_arrays(found)
    except ValueError as error:
        raise DataUnavailable(f"{_quote_name(name)}: {error}") from None


def _quote_name(name: str) -> str:
    """Return the data set's name as messages give it."""
    return f"data set {name!r}"


def _import_dataset(name: str) -> Callable[..., Any]:
    """Return the callable that the name refers to; imports its module."""
    wanted = f"that returns a dict of {', '.join(KEYS)}"
    return import_callable(name, label=_quote_name(name), wanted=wanted)
