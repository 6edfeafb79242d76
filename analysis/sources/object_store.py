"""Records that lie where only pyarrow reaches, such as S3: copied to this machine to be read."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from analysis.errors import InputError

AT_ONCE = 16


@lru_cache
def copied(uri: str) -> tempfile.TemporaryDirectory[str]:
    """A folder with what a report reads of the sweep at `uri`; it goes with this process.

    `uri` is the sweep's folder as pyarrow names it, `s3://bucket/runs/my-sweep?region=eu-west-1`.
    Checkpoints stay where they are. Raises `InputError` where the place cannot be read.
    """
    from pyarrow import fs

    here = tempfile.TemporaryDirectory(prefix="analysis-")
    folder, mark, options = uri.partition("?")
    server, _, path = folder.partition("://")[2].partition("/")
    try:
        root = f"{folder.partition('://')[0]}://{server}/{mark}{options}"
        filesystem, base = fs.FileSystem.from_uri(root)
        place = f"{base.rstrip('/')}/{unquote(path).rstrip('/')}"
        with ThreadPoolExecutor(AT_ONCE) as pool:
            files = _wanted(filesystem, fs.FileSelector(place, recursive=True))
            for _ in pool.map(lambda file: _copy(filesystem, file, place, Path(here.name)), files):
                pass
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder} cannot be read: {reason}") from error
    return here


def _wanted(filesystem: Any, selector: Any) -> list[str]:
    names = {"sweep.json", "record.json", "correct.npy"}
    return [info.path for info in filesystem.get_file_info(selector) if info.base_name in names]


def _copy(filesystem: Any, file: str, place: str, here: Path) -> None:
    copy = here / file.removeprefix(place).lstrip("/")
    copy.parent.mkdir(parents=True, exist_ok=True)
    with filesystem.open_input_stream(file) as stream:
        copy.write_bytes(stream.read())
