"""A user's modules whose names are taken: Python imports another module by that name."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from sweep.grid.yaml_source import Loc, Source
from sweep.process.import_order import PROJECT_PACKAGES

_IMPORT_PATH = re.compile(r"([A-Za-z_]\w*)(?:\.\w+)*:[A-Za-z_]\w*")


def complain_of_taken_names(source: Source, folders: Sequence[str]) -> None:
    """A problem for each `module:attribute` whose module lies in a folder and is not imported."""
    for loc, value in _texts((), source.data):
        named = _IMPORT_PATH.fullmatch(value)
        taken = named and taken_name(named[1], folders)
        if taken:
            source.problems.append(source.problem(loc, taken))


def taken_name(name: str, folders: Sequence[str]) -> str | None:
    """What is wrong with a module of the user's, if another one is imported by its name."""
    own = _file_in(name, folders)
    found = _imported_by(name)
    if own is None or found is None or Path(found).is_relative_to(own.parent):
        return None
    return f"the name {name!r} is taken: Python imports {found} and not {own}; rename {own.name}"


def taken_imports(folders: Sequence[str]) -> Iterator[str]:
    """A line for each module that the user's imported modules got in place of one in a folder."""
    for name in sorted(_imported_by_own(folders)):
        taken = taken_name(name, folders)
        if taken:
            yield taken


def _imported_by_own(folders: Sequence[str]) -> set[str]:
    """Names of modules that the user's own modules hold, or hold something of."""
    names = set()
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top not in PROJECT_PACKAGES and _is_from(top, module, folders):
            for value in list(vars(module).values()):
                home = value.__name__ if isinstance(value, ModuleType) else _home(value)
                names.add(home.partition(".")[0])
    return names - {""}


def _is_from(top: str, module: ModuleType, folders: Sequence[str]) -> bool:
    """Whether a module, or its package, lies directly in one of the folders."""
    file = Path(getattr(module, "__file__", None) or "/")
    places = [Path(folder, top) for folder in folders]
    return any(file == place.with_suffix(".py") or place in file.parents for place in places)


def _home(value: object) -> str:
    try:
        return str(getattr(value, "__module__", None) or "")
    except Exception:  # a user's object may raise whatever it likes
        return ""


def _texts(loc: Loc, value: Any) -> Iterator[tuple[Loc, str]]:
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts((*loc, key), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts((*loc, index), item)


def _file_in(name: str, folders: Sequence[str]) -> Path | None:
    for folder in map(Path, folders):
        for file in (folder / name / "__init__.py", folder / f"{name}.py"):
            if file.is_file():
                return file.parent if file.name == "__init__.py" else file
    return None


def _imported_by(name: str) -> str | None:
    """The file or folder that Python imports by this name."""
    if name in sys.builtin_module_names:
        return "its own"
    spec = PathFinder.find_spec(name)
    return spec.origin if spec is not None else None
