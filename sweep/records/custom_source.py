"""The digest of a user's own Python files, by which a record names the code that its trial ran."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDERS_WITHOUT_CODE = {"__pycache__", "runs", "mlruns", "report", "node_modules"}
"""Folders of a user's that hold results and caches, and no modules."""


def source_digest(names: Sequence[str], import_paths: Sequence[str]) -> str:
    """Return the digest of the Python files of the modules that `names` names.

    Only the files of the named modules and packages are digested, not those that they import.

    Args:
        names: a user's layers, models and data sets, each as `package.module:attr`.
        import_paths: folders in which the modules are looked for, in this order.

    Returns:
        12 hexadecimal digits for each module, joined by `+`; empty where no file is found.
    """
    digests = (_digest_module(name, import_paths) for name in names)
    return "+".join(dict.fromkeys(digest for digest in digests if digest))


def _digest_module(name: str, import_paths: Sequence[str]) -> str:
    """Return 12 hex digits for the Python files of a module or package; empty if none is found."""
    top = name.partition(":")[0].partition(".")[0]
    for folder in map(Path, import_paths):
        package, module = folder / top, folder / f"{top}.py"
        files = [module] if module.is_file() else sorted(python_files(package))
        if files:
            digest = hashlib.sha256()
            for file in files:
                digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
            return digest.hexdigest()[:12]
    return ""


def python_files(package: Path) -> Iterator[Path]:
    """Yield the Python files below a folder in a fixed order, without hidden and result folders."""
    for place, folders, files in os.walk(package):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if name not in FOLDERS_WITHOUT_CODE
            and not name.startswith(".")
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if name.endswith(".py") and not name.startswith("."):
                yield here / name
