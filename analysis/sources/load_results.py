"""`load`: the frames of a sweep, from wherever it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from analysis.errors import InputError
from analysis.schema import Trials
from analysis.sources.csv_file import read_csv
from analysis.sources.grid_file import differences
from analysis.sources.mlflow_client import read_with_client
from analysis.sources.mlflow_sqlite import read_sqlite
from analysis.sources.raw_results import Found, assemble
from analysis.sources.records import read_records
from analysis.sources.source_location import Place, find


def load(source: str | Path, where: Mapping[str, str] | None = None) -> Trials:
    """The trials of `source`: a CSV, a sweep's folder, or the name of an MLflow experiment.

    MLflow is looked for at `MLFLOW_TRACKING_URI`, else at MLflow's own default, `mlflow.db` in
    the working folder; nothing is created where there is none. `where` keeps only trials with
    these settings, as text. Raises `InputError`, one line, where `source` cannot be used, or is a
    grid file that says something else than the one that its sweep was last run with.
    """
    place = find(source)
    found = _read(place)
    if place.grid is not None:
        sweeps = {row["sweep"] for row in (*found.expected, *found.rows)}
        found.warnings += differences(place.grid, sweeps, found.run_with, place.typed)
    if not found.rows:
        raise InputError(f"{source} has no trials yet; run the sweep first")
    return assemble(found, where)


def _read(place: Place) -> Found:
    if place.kind == "csv":
        return read_csv(place.path)
    if place.kind == "records":
        return read_records(place.path)
    direct = read_sqlite(place.path, place.name) if place.kind == "sqlite" else None
    return direct or read_with_client(place.uri, place.name)
