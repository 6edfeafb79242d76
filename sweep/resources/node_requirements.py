"""What a node needs for the trials of a sweep, checked on the node."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sweep.errors import RefusedError
from sweep.process.working_folder import enter_folder
from sweep.records.storage import Storage
from trainables.spec import DataSpec

READ_TIMEOUT_S = 10.0
"""Seconds that a network file system may take to show what another node has written."""


@dataclass(frozen=True)
class NodeRequirements:
    """What each node of a cluster needs in order to train the trials.

    Attributes:
        sweep_uri: the sweep's folder on the storage.
        marker: a file in that folder, which the driver has written.
        data_names: built-in and custom data sets.
        data_root: folder of the data sets; None: the default one.
        modules: custom modules.
        custom_data: custom data sets, each with the digest that it has for the driver.
        folder: the driver's working folder, to which relative paths in custom modules belong.
    """

    sweep_uri: str
    marker: str
    data_names: tuple[str, ...]
    data_root: str | None
    modules: tuple[str, ...]
    custom_data: tuple[tuple[DataSpec, str], ...] = ()
    folder: str = ""


def missing_requirements(needs: NodeRequirements, reply: str) -> list[str]:
    """Return why trials cannot run on this node, a line each.

    Args:
        needs: what the node needs.
        reply: file that this node writes into the sweep's folder.
    """
    enter_folder(needs.folder)
    return [*_check_storage(needs, reply), *_check_modules(needs), *_check_data(needs)]


def read_with_retries(storage: Storage, name: str) -> bytes | None:
    """Return a file that another node writes; None if the file is not there in time."""
    deadline = time.monotonic() + READ_TIMEOUT_S
    while True:
        try:
            return storage.read(name)
        except FileNotFoundError:
            if time.monotonic() > deadline:
                return None
            storage.names()  # makes a network file system look again
            time.sleep(0.5)


def _check_storage(needs: NodeRequirements, reply: str) -> Iterator[str]:
    """Yield an error if the node cannot read the driver's marker file or write its reply."""
    storage = Storage.at(needs.sweep_uri)
    try:
        marker = read_with_retries(storage, needs.marker)
        if marker is None:
            yield (
                f"storage {storage.uri} is another place than the driver's; use one that every "
                f"node reaches, such as s3://bucket/runs or a folder on NFS"
            )
        else:
            storage.write(reply, marker)
    except (OSError, ImportError, RefusedError) as error:
        yield f"storage {storage.uri} cannot be used: {' '.join(str(error).split())}"


def _check_modules(needs: NodeRequirements) -> Iterator[str]:
    """Yield an error for each custom module that cannot be imported on this node."""
    for name in needs.modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            yield f"{name} cannot be imported: {type(error).__name__}: {error}"


def _check_data(needs: NodeRequirements) -> Iterator[str]:
    """Yield an error for each data set that this node cannot read, or reads differently."""

    from trainables import DataUnavailable, data

    for spec, digest in needs.custom_data:
        try:
            data.set_custom_data_root(needs.data_root if spec.digest else None)
            if data.read_custom_data(spec).digest != digest:
                yield (
                    f"data set {spec.name!r} has other images or labels than for the driver; give "
                    f"every node the same files"
                )
        except (DataUnavailable, ValueError) as error:
            yield " ".join(str(error).split())

    for name in needs.data_names:
        try:
            data.download(name, needs.data_root)
        except DataUnavailable as error:
            yield " ".join(str(error).split())
