"""What a node needs for the trials of a sweep, tried on the node itself."""

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
"""For so long a file system may take to show on one node what another has written."""


@dataclass(frozen=True)
class NodeRequirements:
    """The storage, with a marker in it that the driver has written; data sets; own modules.

    `own_data` are the user's own data sets with the digests that they have for the driver, and
    `folder` is the driver's working folder, to which relative paths in a user's code belong.
    """

    sweep_uri: str
    marker: str
    data_names: tuple[str, ...]
    data_root: str | None
    modules: tuple[str, ...]
    own_data: tuple[tuple[DataSpec, str], ...] = ()
    folder: str = ""


def missing_requirements(needs: NodeRequirements, reply: str) -> list[str]:
    """Why trials cannot run on this node, a line each; a reply to the marker is left there."""
    enter_folder(needs.folder)
    return [*_storage(needs, reply), *_modules(needs), *_data(needs)]


def read_with_retries(storage: Storage, name: str) -> bytes | None:
    """A file that another node has written; None if it does not turn up."""
    deadline = time.monotonic() + READ_TIMEOUT_S
    while True:
        try:
            return storage.read(name)
        except FileNotFoundError:
            if time.monotonic() > deadline:
                return None
            storage.names()  # has network file systems look again
            time.sleep(0.5)


def _storage(needs: NodeRequirements, reply: str) -> Iterator[str]:
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


def _modules(needs: NodeRequirements) -> Iterator[str]:
    for name in needs.modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            yield f"{name} cannot be imported: {type(error).__name__}: {error}"


def _data(needs: NodeRequirements) -> Iterator[str]:
    from trainables import DataUnavailable, data

    for spec, digest in needs.own_data:
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
