"""What Python would import from a user's folder in place of a part of the program.

`python -m sweep` puts the working folder before everything else that Python imports from, so a
`random.py` or an `analysis/` that lies there would be taken for Python's own or for this program's.
Called before anything else is imported; what it needs itself, Python has loaded by then.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` itself may be in the working folder
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import NoReturn

PROJECT_PACKAGES = ("sweep", "normmods", "trainables", "analysis", "norm_sweep")
LIBRARIES = frozenset(
    {
        *("alembic", "annotated_types", "click", "cloudpickle", "fsspec", "grpc", "jinja2"),
        *("matplotlib", "mlflow", "numpy", "packaging", "pandas", "pyarrow", "pydantic", "ray"),
        *("requests", "rich", "scipy", "sklearn", "sqlalchemy", "statsmodels", "torch"),
        *("torchvision", "typer", "yaml"),
    }
)
"""Packages that the program imports. None of them is a single file."""

UNUSED_MODULES = frozenset(
    {"antigravity", "idlelib", "lib2to3", "test", "this", "turtle", "turtledemo"}
)
"""Modules of Python that no library imports: a file `test.py` does no harm."""


def put_working_folder_last() -> None:
    """Make the program's modules be imported before files of the working folder, also in children.

    Where a grid is read, `put_custom_modules_last` appends the folder again, for custom modules.
    Ends the program with exit code 2 and one line where a file has the name of a module that the
    program needs and would be imported in its place.
    """
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    try:
        here = os.getcwd()
    except OSError:  # the folder has been deleted
        here = ""
    if not sys.flags.safe_path and sys.path and sys.path[0] in ("", here):
        del sys.path[0]
        if home not in map(os.path.abspath, sys.path):  # a clone that is not installed
            sys.path.insert(0, home)
            inherited = os.environ.get("PYTHONPATH")
            os.environ["PYTHONPATH"] = home + (os.pathsep + inherited if inherited else "")
        for name, file in _list_modules_imported_from(here):
            _exit_with_refusal(
                name, file, "rename it, or type `norm-sweep` instead of `python -m sweep`"
            )
    for name, file in _find_shadowing_files(home):
        _exit_with_refusal(name, file, "rename it, or take its folder out of PYTHONPATH")
    os.environ["PYTHONSAFEPATH"] = "1"  # child processes do not look into the working folder


def put_custom_modules_last(folders: Iterable[str]) -> None:
    """Append folders of custom modules to `sys.path`, behind everything else."""
    sys.path += [folder for folder in folders if folder not in sys.path]


def _exit_with_refusal(name: str, file: str, remedy: str) -> NoReturn:
    """Print which module the file replaces and the remedy, and exit with code 2."""
    module = (
        f"norm-sweep's package {name!r}"
        if name in PROJECT_PACKAGES
        else f"the library {name!r}"
        if name in LIBRARIES
        else f"Python's module {name!r}"
    )
    sys.stderr.write(f"{file} is imported in place of {module}: {remedy}\n")
    sys.exit(2)


def _list_modules_imported_from(folder: str) -> Iterator[tuple[str, str]]:
    """Yield Python's modules that were loaded from the folder before the program began."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in sys.stdlib_module_names and file and os.path.dirname(file) == folder:
            yield name, file


def _find_shadowing_files(home: str) -> Iterator[tuple[str, str]]:
    """Yield names and files that are imported in place of the program's or Python's modules."""
    python = os.path.dirname(os.__file__)
    before_python = True
    for folder in map(os.path.abspath, sys.path):
        if folder == home:
            return
        before_python = before_python and folder != python
        for name, file in _list_shadowing_files_in(folder):
            if name in PROJECT_PACKAGES or (before_python and _shadows_a_library(name, file)):
                yield name, file


def _shadows_a_library(name: str, file: str) -> bool:
    """Return whether the file replaces a library or a module of Python under this name."""
    if name in LIBRARIES:  # a package of this name may well be the library
        return os.path.basename(file) != "__init__.py"
    return name in sys.stdlib_module_names and name not in UNUSED_MODULES


def _list_shadowing_files_in(folder: str) -> Iterator[tuple[str, str]]:
    """Yield name and file of a folder's modules that have the name of a module in use."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:  # a folder that is not there, or an archive
        return
    for entry in entries:
        name, suffix = os.path.splitext(entry)
        if name in PROJECT_PACKAGES or name in LIBRARIES or name in sys.stdlib_module_names:
            file = os.path.join(folder, entry)
            package = os.path.join(file, "__init__.py")
            if suffix == ".py":
                yield name, file
            elif not suffix and os.path.isfile(package):
                yield name, package
