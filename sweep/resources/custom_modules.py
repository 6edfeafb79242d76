"""Custom modules, which Ray's runtime environment copies to every worker of a cluster.

Only Python files are copied, of the modules and packages with the grid's custom layers, models and
data sets: no data, no checkpoints, no `.env`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from sweep.errors import RefusedError

PROJECT_PACKAGES = {"sweep", "normmods", "trainables", "analysis", "norm_sweep"}
"""The packages of this project, which each node has."""

SKIPPED_FOLDERS = {"__pycache__", "runs", "mlruns", "report", "node_modules"}
MAX_BYTES = 10_000_000


def find_custom_modules(import_paths: Sequence[str]) -> list[Path]:
    """Return the files and package folders of the imported custom modules.

    Called after every cell of the grid was built once, so that modules which custom modules import
    are found as well.

    Args:
        import_paths: folders in which custom modules lie.
    """
    found: dict[Path, None] = {}
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        file = getattr(module, "__file__", None)
        if top in PROJECT_PACKAGES or not file:
            continue
        for folder in map(Path, import_paths):
            package = folder / top
            if Path(file) == package.with_suffix(".py"):
                found[Path(file)] = None
            elif Path(file).is_relative_to(package):
                found[package] = None
    return list(found)


def source_digest(names: Sequence[str], import_paths: Sequence[str]) -> str:
    """Return a digest of the Python files of the modules or packages of each custom object.

    Modules that these import are not part of the digest.

    Args:
        names: custom objects, `package.module:attribute` each.
        import_paths: folders in which custom modules lie.

    Returns:
        12 hex digits for each file or package, joined by `+`; empty where there is none.
    """
    digests = (_module_digest(name, import_paths) for name in names)
    return "+".join(dict.fromkeys(digest for digest in digests if digest))


def _module_digest(name: str, import_paths: Sequence[str]) -> str:
    """Return the digest of the module or package of one custom object; empty if not found."""
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
    """Copy the modules' Python files below `folder`; return the paths that Ray copies to nodes."""
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
    """Yield the Python files of a package, without virtual environments and hidden folders."""
    for path, folders, files in os.walk(package):
        here = Path(path)
        folders[:] = sorted(
            name
            for name in folders
            if name not in SKIPPED_FOLDERS
            and not name.startswith(".")
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if name.endswith(".py") and not name.startswith("."):
                yield here / name
