"""Files of a sweep on anything that pyarrow's filesystems reach: a folder, NFS, S3.

A file is either whole or not there: local writes go to a temporary file, are forced to disk and
renamed; object stores replace an object in one step by themselves.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from sweep.errors import RefusedError


@dataclass(frozen=True)
class Storage:
    """A folder by its path or URI (`runs`, `/mnt/nfs/runs`, `s3://bucket/runs?region=eu-west-1`).

    What stands behind `?` are pyarrow's options of the file system: `region`, `scheme`,
    `endpoint_override` for a server of one's own.
    """

    uri: str

    @staticmethod
    def at(place: str) -> Storage:
        """Storage at a path relative to the current folder, an absolute path or a URI."""
        if place.startswith("file://"):
            place = unquote(urlsplit(place).path)
        if "://" in place and "@" in urlsplit(place).netloc:
            raise RefusedError(
                f"storage {urlsplit(place).scheme}://…@{urlsplit(place).netloc.rpartition('@')[2]} "
                f"holds credentials, which records and logs would show; give them in the "
                f"environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or by a machine's role"
            )
        return Storage(place if "://" in place else str(Path(place).expanduser().absolute()))

    @property
    def is_local(self) -> bool:
        """Whether this is a path, so that the machine's own file calls reach it."""
        return "://" not in self.uri

    def below(self, *parts: str) -> Storage:
        """The folder `parts` further down; a part is a plain name and cannot lead elsewhere."""
        for part in parts:
            if part in ("", ".", "..") or PurePosixPath(part).name != part:
                raise ValueError(f"expected the plain name of a file or folder, got {part!r}")
        folder, mark, options = self._split()
        return Storage("/".join([folder.rstrip("/"), *parts]) + mark + options)

    @property
    def name(self) -> str:
        """The folder's own name."""
        return PurePosixPath(self._split()[0]).name

    def _split(self) -> tuple[str, str, str]:
        """The folder, and behind a `?` the options of its file system."""
        return (self.uri, "", "") if self.is_local else self.uri.partition("?")

    def read(self, name: str) -> bytes:
        """Content of a file; raises `FileNotFoundError` if there is none."""
        if self.is_local:
            return (Path(self.uri) / name).read_bytes()
        filesystem, root = self._filesystem()
        with filesystem.open_input_stream(f"{root}/{name}") as stream:
            return bytes(stream.read())

    def write(self, name: str, content: bytes) -> None:
        """Replace a file in one step, creating the folder where needed."""
        if self.is_local:
            _write_whole(Path(self.uri) / name, content)
            return
        filesystem, root = self._filesystem()
        try:
            stream = filesystem.open_output_stream(f"{root}/{name}")
        except FileNotFoundError:  # object stores have no folders to create
            filesystem.create_dir(root, recursive=True)
            stream = filesystem.open_output_stream(f"{root}/{name}")
        with stream:
            stream.write(content)

    def replace(self, name: str, content: bytes) -> None:
        """Like `write`, where the folder is known to be there: one that is gone stays gone."""
        if self.is_local:
            _replace(Path(self.uri) / name, content)
        else:
            self.write(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless there is one; whether it was written.

        Of two that try at once one wins on this machine's file systems; an object store may
        let both pass, so read back what you wrote.
        """
        if self.is_local:
            Path(self.uri).mkdir(parents=True, exist_ok=True)
            try:
                with open(Path(self.uri) / name, "xb", buffering=0) as file:
                    file.write(content)
            except FileExistsError:
                return False
            return True
        if name in self.names():
            return False
        self.write(name, content)
        return True

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        if self.is_local:
            (Path(self.uri) / name).unlink(missing_ok=True)
            return
        filesystem, root = self._filesystem()
        with suppress(FileNotFoundError):
            filesystem.delete_file(f"{root}/{name}")

    def size(self, name: str) -> int:
        """Bytes of a file; 0 if it is not there."""
        if self.is_local:
            path = Path(self.uri) / name
            return path.stat().st_size if path.exists() else 0
        filesystem, root = self._filesystem()
        return filesystem.get_file_info(f"{root}/{name}").size or 0

    def names(self) -> list[str]:
        """Names of the files and folders in this folder, sorted; empty if it is not there."""
        return sorted(self._names())

    def _names(self) -> Iterator[str]:
        if self.is_local:
            if Path(self.uri).is_dir():
                yield from os.listdir(self.uri)
            return
        from pyarrow import fs

        filesystem, root = self._filesystem()
        for info in filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True)):
            yield info.base_name

    def require_writable(self) -> None:
        """Write, read and delete a probe; `RefusedError` in one line if that fails."""
        name = f".probe-{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        try:
            self.write(name, b"probe")
            self.read(name)
            self.delete(name)
        except (OSError, ValueError, ImportError) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise RefusedError(f"storage {self.uri} cannot be written: {reason}") from None

    def _filesystem(self) -> tuple[Any, str]:
        folder, mark, options = self._split()
        scheme, _, path = folder.partition("://")
        server, _, below = path.partition("/")
        try:
            filesystem, root = _connected(f"{scheme}://{server}/{mark}{options}", os.getpid())
        except (ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise RefusedError(f"storage {self.uri} cannot be reached: {reason}") from None
        return filesystem, f"{root.rstrip('/')}/{unquote(below)}".rstrip("/")


@lru_cache(maxsize=16)
def _connected(uri: str, pid: int) -> tuple[Any, str]:
    """The file system of a server or bucket, once per process: connecting takes long."""
    from pyarrow import fs

    connected: tuple[Any, str] = fs.FileSystem.from_uri(uri)
    return connected


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
