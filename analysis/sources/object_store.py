"""Copies of records from object stores such as S3, made through pyarrow."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from analysis.errors import AnalysisError

NUM_COPY_THREADS = 16


@lru_cache
def copy_sweep_here(uri: str) -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder with what a report reads of the sweep at `uri`.

    The folder exists until this process ends. Checkpoints are not copied.

    Args:
        uri: the sweep's folder as pyarrow names it, `s3://bucket/runs/my-sweep?region=eu-west-1`.

    Raises:
        AnalysisError: the folder cannot be read.
    """
    from pyarrow import fs

    here = tempfile.TemporaryDirectory(prefix="analysis-")
    folder, mark, options = uri.partition("?")
    server, _, path = folder.partition("://")[2].partition("/")
    try:
        root = f"{folder.partition('://')[0]}://{server}/{mark}{options}"
        filesystem, base = fs.FileSystem.from_uri(root)
        place = f"{base.rstrip('/')}/{unquote(path).rstrip('/')}"
        with ThreadPoolExecutor(NUM_COPY_THREADS) as pool:
            files = _list_report_files(filesystem, fs.FileSelector(place, recursive=True))
            for _ in pool.map(
                lambda file: _copy_file(filesystem, file, place, Path(here.name)), files
            ):
                pass
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise AnalysisError(f"{folder} cannot be read: {reason}") from error
    return here


def _list_report_files(filesystem: Any, selector: Any) -> list[str]:
    """Return the paths of the files that a report reads."""
    names = {"sweep.json", "record.json", "correct.npy"}
    return [info.path for info in filesystem.get_file_info(selector) if info.base_name in names]


def _copy_file(filesystem: Any, file: str, base: str, target: Path) -> None:
    """Copy one file below the folder `target`."""
    copy = target / file.removeprefix(base).lstrip("/")
    copy.parent.mkdir(parents=True, exist_ok=True)
    with filesystem.open_input_stream(file) as stream:
        copy.write_bytes(stream.read())
