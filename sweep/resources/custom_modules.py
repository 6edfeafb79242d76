"""Custom modules, which Ray's runtime environment copies to every worker of a cluster.

Only Python files are copied, of the modules and packages with the grid's custom layers, models and
data sets: no data, no checkpoints, no `.env`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from sweep.errors import RefusedError
from sweep.process.import_order import PROJECT_PACKAGES
from sweep.records.custom_source import python_files

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


def stage_modules(modules: Sequence[Path], folder: Path) -> list[str]:
    """Copy the modules' Python files below `folder`; return the paths that Ray copies to nodes."""
    staged, num_bytes = [], 0
    for module in modules:
        for file in python_files(module) if module.is_dir() else [module]:
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
