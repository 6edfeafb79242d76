"""The grids that come with the program: every one of the repository's `grids/`, by name."""

from __future__ import annotations

from pathlib import Path

from sweep.errors import RefusedError, suggest_nearest

_PACKAGE = Path(__file__).parents[1]
INSTALLED, IN_REPOSITORY = _PACKAGE / "examples", _PACKAGE.parent / "grids"


def read_example(name: str) -> str:
    """Return the text of an example by its file's name, without the first line, an editor's hint.

    Raises:
        RefusedError: there is no example of this name.
    """
    files = _example_files()
    if name not in files:
        near = suggest_nearest(name, list(files))
        raise RefusedError(f"--example: there is no grid {name!r}{near}")
    return files[name].read_text(encoding="utf-8").partition("\n")[2]


def example_names() -> list[str]:
    """Return the names that `read_example` takes."""
    return list(_example_files())


def _example_files() -> dict[str, Path]:
    """Return the examples' files by name: of the installed package, else of the repository."""
    folder = INSTALLED if INSTALLED.is_dir() else IN_REPOSITORY
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}
