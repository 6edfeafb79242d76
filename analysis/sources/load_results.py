"""Loading of results from any kind of source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from analysis.errors import AnalysisError
from analysis.schema import Results
from analysis.sources.csv_file import read_csv
from analysis.sources.grid_file import check_grid_matches_run
from analysis.sources.mlflow_client import read_with_client
from analysis.sources.mlflow_sqlite import read_sqlite
from analysis.sources.raw_results import RawResults, build_results
from analysis.sources.records import read_records
from analysis.sources.source_location import SourceLocation, locate_source


def load_results(source: str | Path, settings_filter: Mapping[str, str] | None = None) -> Results:
    """Return the trials of a source as validated data frames.

    Args:
        source: a CSV file with one row per trial, a sweep's folder of records, a grid file, or the
            name of an MLflow experiment. MLflow is read at `MLFLOW_TRACKING_URI`, by default from
            `mlflow.db` in the working folder; nothing is created.
        settings_filter: value that a setting must have, as text, by setting name.

    Raises:
        AnalysisError: the source cannot be read or has no trials, no trial matches the filter, or
            the grid file differs from the one that its sweep was last run with.
    """
    place = locate_source(source)
    found = _read_source(place)
    if place.grid is not None:
        sweeps = {row["sweep"] for row in (*found.expected, *found.rows)}
        found.warnings += check_grid_matches_run(place.grid, sweeps, found.grid_states, place.typed)
    if not found.rows:
        raise AnalysisError(f"{source} has no trials yet; run the sweep first")
    return build_results(found, settings_filter)


def _read_source(location: SourceLocation) -> RawResults:
    """Return the raw content of a source by the reader of its kind."""
    if location.kind == "csv":
        return read_csv(location.path)
    if location.kind == "records":
        return read_records(location.path)
    direct = read_sqlite(location.path, location.name) if location.kind == "sqlite" else None
    return direct or read_with_client(location.uri, location.name)
