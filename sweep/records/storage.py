"""Files of a sweep in a local folder or on any file system of pyarrow, such as S3.

A file is either complete or absent: local writes go to a temporary file, which is flushed to the
disk and renamed; object stores replace an object in one step by themselves.
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
    """A folder on a file system.

    Attributes:
        uri: an absolute path, or a URI such as `s3://bucket/runs?region=eu-west-1`. After `?` come
            pyarrow's options of the file system: `region`, `scheme`, or `endpoint_override` for
            another server than Amazon's.
    """

    uri: str

    @staticmethod
    def at(location: str) -> Storage:
        """Return the storage for a path, relative or absolute, or for a URI.

        Raises:
            RefusedError: the URI holds credentials.
        """
        if location.startswith("file://"):
            location = unquote(urlsplit(location).path)
        parts = urlsplit(location)
        if "://" in location and "@" in parts.netloc:
            raise RefusedError(
                f"storage {parts.scheme}://…@{parts.netloc.rpartition('@')[2]} "
                f"holds credentials, which records and logs would show; give them in the "
                f"environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or by a machine's role"
            )
        is_uri = "://" in location
        return Storage(location if is_uri else str(Path(location).expanduser().absolute()))

    @property
    def is_local(self) -> bool:
        """Whether `uri` is a path of this machine's file systems."""
        return "://" not in self.uri

    def below(self, *parts: str) -> Storage:
        """Return the storage of a subfolder; raise `ValueError` for a part such as `..`."""
        for part in parts:
            if part in ("", ".", "..") or PurePosixPath(part).name != part:
                raise ValueError(f"expected the plain name of a file or folder, got {part!r}")
        folder, mark, options = self._split()
        return Storage("/".join([folder.rstrip("/"), *parts]) + mark + options)

    @property
    def name(self) -> str:
        """Name of the folder, without its parents."""
        return PurePosixPath(self._split()[0]).name

    def _split(self) -> tuple[str, str, str]:
        """Return the folder's URI, `?` and the options, each empty where there is none."""
        return (self.uri, "", "") if self.is_local else self.uri.partition("?")

    def read(self, name: str) -> bytes:
        """Return the content of a file; raise `FileNotFoundError` if there is no such file."""
        if self.is_local:
            return (Path(self.uri) / name).read_bytes()
        filesystem, root = self._filesystem()
        with filesystem.open_input_stream(f"{root}/{name}") as stream:
            return bytes(stream.read())

    def write(self, name: str, content: bytes) -> None:
        """Write a file in one step; create the folder if need be."""
        if self.is_local:
            path = Path(self.uri) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace_file(path, content)
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
        """Write a file in one step; raise `FileNotFoundError` if its local folder was deleted."""
        if self.is_local:
            _replace_file(Path(self.uri) / name, content)
        else:
            self.write(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless it exists; return whether it was written.

        Of two processes that try at once one succeeds on a local file system. On an object store
        both may, so the caller has to read the file again.
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
        """Delete a file, if it exists."""
        if self.is_local:
            (Path(self.uri) / name).unlink(missing_ok=True)
            return
        filesystem, root = self._filesystem()
        with suppress(FileNotFoundError):
            filesystem.delete_file(f"{root}/{name}")

    def size(self, name: str) -> int:
        """Return the size of a file in bytes; 0 if there is no such file."""
        if self.is_local:
            path = Path(self.uri) / name
            return path.stat().st_size if path.exists() else 0
        filesystem, root = self._filesystem()
        return filesystem.get_file_info(f"{root}/{name}").size or 0

    def names(self) -> list[str]:
        """Return the sorted names of files and folders in this folder; empty if it is missing."""
        return sorted(self._names())

    def _names(self) -> Iterator[str]:
        """Yield the names of files and folders in this folder."""
        if self.is_local:
            if Path(self.uri).is_dir():
                yield from os.listdir(self.uri)
            return
        from pyarrow import fs

        filesystem, root = self._filesystem()
        for info in filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True)):
            yield info.base_name

    def require_writable(self) -> None:
        """Write, read and delete a test file; raise `RefusedError` if this fails."""
        name = f".probe-{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        try:
            self.write(name, b"probe")
            self.read(name)
            self.delete(name)
        except (OSError, ValueError, ImportError) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise RefusedError(f"storage {self.uri} cannot be written: {reason}") from None

    def _filesystem(self) -> tuple[Any, str]:
        """Return pyarrow's file system and this folder's path on it."""
        folder, mark, options = self._split()
        scheme, _, path = folder.partition("://")
        server, _, below = path.partition("/")
        try:
            filesystem, root = _connect(f"{scheme}://{server}/{mark}{options}", os.getpid())
        except (ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise RefusedError(f"storage {self.uri} cannot be reached: {reason}") from None
        return filesystem, f"{root.rstrip('/')}/{unquote(below)}".rstrip("/")


@lru_cache(maxsize=16)
def _connect(uri: str, pid: int) -> tuple[Any, str]:
    """Return pyarrow's file system for a URI, and the URI's path on it.

    Connecting takes long, so it is done once per process: a fork must not share a connection.
    """
    from pyarrow import fs

    connected: tuple[Any, str] = fs.FileSystem.from_uri(uri)
    return connected


def _replace_file(path: Path, content: bytes) -> None:
    """Write a local file in one step, through a temporary file in the same folder."""
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
