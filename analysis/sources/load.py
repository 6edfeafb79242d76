"""`load`: the frames of a sweep, from wherever it is kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from analysis.errors import InputError
from analysis.schema import Trials
from analysis.sources.assemble import Found, assemble
from analysis.sources.csv_file import read_csv
from analysis.sources.mlflow_client import read_with_client
from analysis.sources.mlflow_sqlite import read_sqlite
from analysis.sources.records import is_sweep, read_records

DEFAULT_DATABASE = Path("mlflow.db")


def load(source: str | Path, where: Mapping[str, str] | None = None) -> Trials:
    """The trials of `source`: a CSV, a sweep's folder, or the name of an MLflow experiment.

    MLflow is looked for at `MLFLOW_TRACKING_URI`, else at MLflow's own default, `mlflow.db` in
    the working folder; nothing is created where there is none. `where` keeps only trials with
    these settings, as text. Raises `InputError`, one line, where `source` cannot be used.
    """
    path = Path(source)
    if path.suffix == ".csv":
        if not path.is_file():
            raise InputError(f"no file {path}")
        return assemble(read_csv(path), where)
    if is_sweep(path):
        return assemble(_with_trials(read_records(path), str(path)), where)
    if path.is_dir() and (path / "trials").is_dir():
        raise InputError(f"{path} has trials but no sweep.json, which names what was asked for")
    return assemble(_with_trials(_read_mlflow(str(source)), f"experiment {source!r}"), where)


def _with_trials(found: Found, where: str) -> Found:
    if not found.rows:
        raise InputError(f"{where} has no trials yet; run the sweep first")
    return found


def _read_mlflow(name: str) -> Found:
    uri = tracking_uri()
    if not uri.startswith("sqlite:"):
        return read_with_client(uri, name)
    path = Path(unquote(urlsplit(uri).path)[1:])
    if not path.is_file():
        raise InputError(
            f"{name!r} is no CSV and no sweep's folder, and there is no MLflow database {path} "
            "to look for an experiment in; set MLFLOW_TRACKING_URI, or go where you ran the sweep"
        )
    return read_sqlite(path, name) or read_with_client(uri, name)


def tracking_uri() -> str:
    """Where MLflow keeps its runs: `MLFLOW_TRACKING_URI`, else MLflow's own default."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DEFAULT_DATABASE}"
