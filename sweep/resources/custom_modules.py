"""A user's own modules, as Ray's runtime environment carries them to every worker.

Of a module or package that a layer, model or data set of the grid comes from, the Python files go,
and nothing else: no data, no checkpoints, no `.env`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from sweep.errors import RefusedError

INSTALLED = {"sweep", "normmods", "trainables", "analysis", "norm_sweep"}
"""The project's own packages, which each node has."""

NOT_CODE = {"__pycache__", "runs", "mlruns", "report", "node_modules"}
MAX_BYTES = 10_000_000


def package_custom_modules(import_paths: Sequence[str]) -> list[Path]:
    """The files and folders of the imported modules that lie directly in one of these folders.

    Call it when every cell of the grid has been built once, so that what a module imports from
    its neighbours is found as well.
    """
    found: dict[Path, None] = {}
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        file = getattr(module, "__file__", None)
        if top in INSTALLED or not file:
            continue
        for folder in map(Path, import_paths):
            place = folder / top
            if Path(file) == place.with_suffix(".py"):
                found[Path(file)] = None
            elif Path(file).is_relative_to(place):
                found[place] = None
    return list(found)


def source_digest(own: Sequence[str], import_paths: Sequence[str]) -> str:
    """Names the Python files of the modules or packages of each `package.module:attr`.

    Empty where there are none. What a module imports from its neighbours is not looked at.
    """
    digests = (_digest_of(name, import_paths) for name in own)
    return "+".join(dict.fromkeys(digest for digest in digests if digest))


def _digest_of(name: str, import_paths: Sequence[str]) -> str:
    top = name.partition(":")[0].partition(".")[0]
    for folder in map(Path, import_paths):
        package, module = folder / top, folder / f"{top}.py"
        files = [module] if module.is_file() else sorted(_python_files(package))
        if files:
            digest = hashlib.sha256()
            for file in files:
                digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
            return digest.hexdigest()[:12]
    return ""


def stage_modules(modules: Sequence[Path], folder: Path) -> list[str]:
    """Copy the modules' Python files below `folder`; returns the paths that Ray is to ship."""
    staged, num_bytes = [], 0
    for module in modules:
        for file in _python_files(module) if module.is_dir() else [module]:
            num_bytes += file.stat().st_size
            if num_bytes > MAX_BYTES:
                raise RefusedError(
                    f"{module}: more than {MAX_BYTES / 1e6:g} MB of Python files would go to "
                    f"every node; keep what the grid names in a package of its own"
                )
            copy = folder / file.relative_to(module.parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        staged.append(str(folder / module.name))
    return staged


def _python_files(package: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(package):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if name not in NOT_CODE
            and not name.startswith(".")
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if name.endswith(".py") and not name.startswith("."):
                yield here / name
