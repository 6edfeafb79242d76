"""A user's modules that Python does not import, since another module has the same name."""

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


def report_shadowed_modules(source: Source, folders: Sequence[str]) -> None:
    """Add a problem to a grid for each `module:attribute` whose module is shadowed.

    Args:
        source: the grid.
        folders: where the user's modules lie.
    """
    for loc, value in _list_texts((), source.data):
        named = _IMPORT_PATH.fullmatch(value)
        what = named and describe_shadowed_module(named[1], folders)
        if what:
            source.add_problem(loc, what)


def describe_shadowed_module(name: str, folders: Sequence[str]) -> str | None:
    """Return what is wrong with a module in the folders, if another one is imported by its name.

    None where the module is imported itself, or lies in none of the folders.
    """
    own = _find_module_file(name, folders)
    found = _find_imported_file(name)
    if own is None or found is None or Path(found).is_relative_to(own.parent):
        return None
    return f"the name {name!r} is taken: Python imports {found} and not {own}; rename {own.name}"


def find_shadowed_imports(folders: Sequence[str]) -> Iterator[str]:
    """Yield a line for each module that was imported in place of one in the folders.

    Only modules that the user's own modules have imported are looked at.
    """
    for name in sorted(_imported_by_custom_modules(folders)):
        what = describe_shadowed_module(name, folders)
        if what:
            yield what


def _imported_by_custom_modules(folders: Sequence[str]) -> set[str]:
    """Return names of modules that the user's modules have imported, or imported something from."""
    names = set()
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top not in PROJECT_PACKAGES and _lies_in(top, module, folders):
            for value in list(vars(module).values()):
                home = (
                    value.__name__ if isinstance(value, ModuleType) else _get_defining_module(value)
                )
                names.add(home.partition(".")[0])
    return names - {""}


def _lies_in(top: str, module: ModuleType, folders: Sequence[str]) -> bool:
    """Return whether a module, or its package, lies directly in one of the folders."""
    file = Path(getattr(module, "__file__", None) or "/")
    places = [Path(folder, top) for folder in folders]
    return any(file == place.with_suffix(".py") or place in file.parents for place in places)


def _get_defining_module(value: object) -> str:
    """Return the name of the module that defines a value; empty where the value does not say."""
    try:
        return str(getattr(value, "__module__", None) or "")
    except Exception:  # a user's object may raise whatever it likes
        return ""


def _list_texts(loc: Loc, value: Any) -> Iterator[tuple[Loc, str]]:
    """Yield every text of a grid's data with its place."""
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _list_texts((*loc, key), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _list_texts((*loc, index), item)


def _find_module_file(name: str, folders: Sequence[str]) -> Path | None:
    """Return the file or package folder of a module in the first folder that has one."""
    for folder in map(Path, folders):
        for file in (folder / name / "__init__.py", folder / f"{name}.py"):
            if file.is_file():
                return file.parent if file.name == "__init__.py" else file
    return None


def _find_imported_file(name: str) -> str | None:
    """Return the file or folder that Python imports by this name; None for no such module."""
    if name in sys.builtin_module_names:
        return "its own"
    spec = PathFinder.find_spec(name)
    return spec.origin if spec is not None else None
