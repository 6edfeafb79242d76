"""What a source is: a CSV, a sweep's folder, or an experiment in MLflow. Imports nothing heavy."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from analysis.errors import InputError

if TYPE_CHECKING:
    from analysis.sources.grid_file import GridFile

URI = "MLFLOW_TRACKING_URI"
DEFAULT_DATABASE = Path("mlflow.db")
SWEEP_FILE = "sweep.json"
CORRECT = "correct.npy"
TABLES = (".csv", ".tsv", ".gz", ".xlsx")
"""Suffixes of a source that is a table's file, not an experiment's name, where it is missing."""


@dataclass(frozen=True)
class Place:
    """Where trials are read from: a file, a folder, an MLflow database, or a server's address.

    `path` is missing for a server; `name` is the experiment's where the place is MLflow. `typed` is
    what to type for the place itself where a grid's file (`grid`) led there.
    """

    kind: Literal["csv", "records", "sqlite", "server"]
    name: str
    path: Path = Path()
    uri: str = ""
    grid: GridFile | None = None
    typed: str = ""


def find(source: str | Path) -> Place:
    """What `source` names; raises `InputError`, one line, where it is nothing that exists."""
    path = Path(source)
    if "://" in str(source):
        from analysis.sources.object_store import copied

        path = Path(copied(str(source)).name)
        if not (path / SWEEP_FILE).is_file():
            raise InputError(f"{str(source).partition('?')[0]} holds no {SWEEP_FILE}")
        return Place("records", str(source).partition("?")[0].rstrip("/").rpartition("/")[2], path)
    if path.is_file():
        is_grid = path.suffix.lower() in (".yaml", ".yml")
        return _of_grid(path) if is_grid else Place("csv", path.stem, path)
    if (path / SWEEP_FILE).is_file():
        return Place("records", path.name, path)
    if path.is_dir() and (path / "trials").is_dir():
        raise InputError(f"{path} has trials but no {SWEEP_FILE}, which names what was asked for")
    if path.suffix.lower() in TABLES:
        raise InputError(f"no file {path}")
    return _mlflow(str(source))


def _of_grid(path: Path) -> Place:
    """Where the sweep of a grid file is: its records, else its experiment in MLflow.

    Of the file `name`, `storage` and `tracking.experiment` are read, and a digest of the whole, by
    which `load` tells whether the sweep was run with the file as it stands.
    """
    from analysis.sources.grid_file import read_grid

    grid, file = read_grid(path)
    name = file.name
    storage = str(grid.get("storage") or "runs")
    if "://" in storage:
        typed = f"{storage.rstrip('/')}/{name}"
        return replace(find(typed), grid=file, typed=typed)
    folder = Path(storage) / name
    if (folder / SWEEP_FILE).is_file():
        return Place("records", name, folder, grid=file, typed=str(folder))
    tracking = grid.get("tracking")
    experiment = tracking.get("experiment") if isinstance(tracking, dict) else None
    try:
        typed = str(experiment or name)
        return replace(_mlflow(typed), grid=file, typed=typed)
    except InputError as error:
        raise InputError(
            f"the sweep {name} of {path} has no records in {folder}, and there is no MLflow "
            f"database here; type `python -m sweep run {shlex.quote(str(path))}` first, or "
            "go where you did"
        ) from error


def require_two(before: Place, after: Place) -> None:
    """Raise `InputError` where both sources are one place: a sweep does not differ from itself."""
    if _identity(before) != _identity(after):
        return
    if before.kind == "csv":
        raise InputError(f"both name the file {before.path}; name two files")
    if before.grid and after.grid and before.grid.name == after.grid.name:
        sweep = f"{before.grid.name} ({before.typed})"
        raise InputError(f"both name the sweep {sweep}; give one of them another name")
    what = "sweep" if before.kind == "records" else "MLflow experiment"
    shown = before.path if before.kind == "records" else before.name
    raise InputError(f"both name the {what} {before.typed or shown}; name two of them")


def _identity(place: Place) -> tuple[str, ...]:
    if place.kind in ("csv", "records"):
        return (place.kind, str(place.path.resolve()))
    uri = str(place.path.resolve()) if place.kind == "sqlite" else place.uri
    return (place.kind, uri, place.name)


def tracking_uri() -> str:
    """Where MLflow keeps its runs: `MLFLOW_TRACKING_URI`, else MLflow's own default."""
    return without_password(os.environ.get(URI, "")) or f"sqlite:///{DEFAULT_DATABASE}"


def without_password(uri: str) -> str:
    """The URI as it may be shown; MLflow and libpq find the password in the environment."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    user, host = parts.username or "", parts.netloc.rpartition("@")[2]
    os.environ.setdefault("PGPASSWORD", unquote(parts.password))
    os.environ.setdefault("MLFLOW_TRACKING_USERNAME", unquote(user))
    os.environ.setdefault("MLFLOW_TRACKING_PASSWORD", unquote(parts.password))
    is_server = parts.scheme in ("http", "https")
    shown = urlunsplit(parts._replace(netloc=host if is_server else f"{user}@{host}"))
    os.environ[URI] = shown
    return shown


def records_here(name: str) -> str:
    """What to type for the records of the sweep `name` where they lie below this folder, or ""."""
    folder = Path("runs") / name
    if not (folder / SWEEP_FILE).is_file():
        return ""
    return f"; the sweep's records are here: `norm-sweep report {shlex.quote(str(folder))}`"


def _mlflow(name: str) -> Place:
    uri = tracking_uri()
    if not uri.startswith("sqlite:"):
        return Place("server", name, uri=uri)
    path = Path(unquote(urlsplit(uri).path)[1:])
    if not path.is_file():
        kept = records_here(name)
        if kept:
            raise InputError(f"there is no MLflow database {path} to look for {name!r} in{kept}")
        raise InputError(
            f"{name!r} is no CSV and no sweep's folder, and there is no MLflow database {path} "
            "to look for an experiment in; set MLFLOW_TRACKING_URI, or go where you ran the sweep"
        )
    return Place("sqlite", name, path, uri)
