"""Location of a source: a CSV, a sweep's folder, or an experiment in MLflow."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from analysis.errors import AnalysisError

if TYPE_CHECKING:
    from analysis.sources.grid_file import GridFile

TRACKING_URI_VARIABLE = "MLFLOW_TRACKING_URI"
DEFAULT_DATABASE = Path("mlflow.db")
SWEEP_FILE = "sweep.json"
CORRECT_FILE = "correct.npy"
LOOKS_FILE = "looks.json"
TABLE_SUFFIXES = (".csv", ".tsv", ".gz", ".xlsx")
"""Suffixes by which a missing source counts as a file and not as an experiment."""


@dataclass(frozen=True)
class SourceLocation:
    """Location of trials: a file, a folder, an MLflow database, or a server's address.

    `path` is unused for a server; `name` is the experiment's for MLflow. `typed` is what a user
    types for the location itself where a grid file (`grid`) led to it.
    """

    kind: Literal["csv", "records", "sqlite", "server"]
    name: str
    path: Path = Path()
    uri: str = ""
    grid: GridFile | None = None
    typed: str = ""


def locate_source(source: str | Path) -> SourceLocation:
    """Return the location that `source` names; raise `AnalysisError` if there is none."""
    path = Path(source)
    if "://" in str(source):
        from analysis.sources.object_store import copy_sweep_here

        path = Path(copy_sweep_here(str(source)).name)
        if not (path / SWEEP_FILE).is_file():
            raise AnalysisError(f"{str(source).partition('?')[0]} holds no {SWEEP_FILE}")
        return SourceLocation(
            "records", str(source).partition("?")[0].rstrip("/").rpartition("/")[2], path
        )
    if path.is_file():
        is_grid = path.suffix.lower() in (".yaml", ".yml")
        return _locate_sweep_of_grid(path) if is_grid else SourceLocation("csv", path.stem, path)
    if (path / SWEEP_FILE).is_file():
        return SourceLocation("records", path.name, path)
    if path.is_dir() and (path / "trials").is_dir():
        raise AnalysisError(
            f"{path} has trials but no {SWEEP_FILE}, which names what was asked for"
        )
    if path.suffix.lower() in TABLE_SUFFIXES:
        raise AnalysisError(f"no file {path}")
    return _locate_experiment(str(source))


def _locate_sweep_of_grid(path: Path) -> SourceLocation:
    """Return the location of a grid file's sweep: its records, else its MLflow experiment.

    Reads `name`, `storage` and `tracking.experiment` from the file, and a digest of the whole, by
    which `load_results` tells whether the sweep was run with the same grid.
    """
    from analysis.sources.grid_file import read_grid

    grid, file = read_grid(path)
    name = file.name
    storage = str(grid.get("storage") or "runs")
    if "://" in storage:
        typed = f"{storage.rstrip('/')}/{name}"
        return replace(locate_source(typed), grid=file, typed=typed)
    folder = Path(storage) / name
    if (folder / SWEEP_FILE).is_file():
        return SourceLocation("records", name, folder, grid=file, typed=str(folder))
    tracking = grid.get("tracking")
    experiment = tracking.get("experiment") if isinstance(tracking, dict) else None
    try:
        typed = str(experiment or name)
        return replace(_locate_experiment(typed), grid=file, typed=typed)
    except AnalysisError as error:
        raise AnalysisError(
            f"the sweep {name} of {path} has no records in {folder}, and there is no MLflow "
            f"database here; type `python -m sweep run {shlex.quote(str(path))}` first, or "
            "go where you did"
        ) from error


def check_distinct_locations(before: SourceLocation, after: SourceLocation) -> None:
    """Raise `AnalysisError` if both sources are at the same location."""
    if _get_identity(before) != _get_identity(after):
        return
    if before.kind == "csv":
        raise AnalysisError(f"both name the file {before.path}; name two files")
    if before.grid and after.grid and before.grid.name == after.grid.name:
        sweep = f"{before.grid.name} ({before.typed})"
        raise AnalysisError(f"both name the sweep {sweep}; give one of them another name")
    what = "sweep" if before.kind == "records" else "MLflow experiment"
    shown = before.path if before.kind == "records" else before.name
    raise AnalysisError(f"both name the {what} {before.typed or shown}; name two of them")


def _get_identity(location: SourceLocation) -> tuple[str, ...]:
    """Return a key that two descriptions of one location share."""
    if location.kind in ("csv", "records"):
        return (location.kind, str(location.path.resolve()))
    uri = str(location.path.resolve()) if location.kind == "sqlite" else location.uri
    return (location.kind, uri, location.name)


def get_tracking_uri() -> str:
    """Return MLflow's tracking URI: `MLFLOW_TRACKING_URI`, else MLflow's default database."""
    return (
        hide_password(os.environ.get(TRACKING_URI_VARIABLE, "")) or f"sqlite:///{DEFAULT_DATABASE}"
    )


def hide_password(uri: str) -> str:
    """Return the URI without its password, which moves to environment variables of MLflow and
    libpq.
    """
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    user, host = parts.username or "", parts.netloc.rpartition("@")[2]
    os.environ.setdefault("PGPASSWORD", unquote(parts.password))
    os.environ.setdefault("MLFLOW_TRACKING_USERNAME", unquote(user))
    os.environ.setdefault("MLFLOW_TRACKING_PASSWORD", unquote(parts.password))
    is_server = parts.scheme in ("http", "https")
    shown = urlunsplit(parts._replace(netloc=host if is_server else f"{user}@{host}"))
    os.environ[TRACKING_URI_VARIABLE] = shown
    return shown


def suggest_local_records(name: str) -> str:
    """Return a hint to the records of the sweep `name` below the working folder; empty if none."""
    folder = Path("runs") / name
    if not (folder / SWEEP_FILE).is_file():
        return ""
    return f"; the sweep's records are here: `norm-sweep report {shlex.quote(str(folder))}`"


def _locate_experiment(name: str) -> SourceLocation:
    """Return the location of the MLflow experiment `name`."""
    uri = get_tracking_uri()
    if not uri.startswith("sqlite:"):
        return SourceLocation("server", name, uri=uri)
    path = Path(unquote(urlsplit(uri).path)[1:])
    if not path.is_file():
        kept = suggest_local_records(name)
        if kept:
            raise AnalysisError(f"there is no MLflow database {path} to look for {name!r} in{kept}")
        raise AnalysisError(
            f"{name!r} is no CSV and no sweep's folder, and there is no MLflow database {path} "
            "to look for an experiment in; set MLFLOW_TRACKING_URI, or go where you ran the sweep"
        )
    return SourceLocation("sqlite", name, path, uri)
