r"""Reader of MLflow's SQLite database: read-only, and without importing MLflow.\n\nImporting MLflow
takes longer than everything else a report does, and its client sends one query per run and metric.
The seven tables read here have kept their columns since MLflow 1; where they differ, `read_sqlite`
returns None and MLflow's own client is used instead.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from analysis.sources.correct_examples import read_correct_examples
from analysis.sources.mlflow_runs import (
    TRIAL_TAG,
    TrialRun,
    collect_raw_results,
    make_missing_experiment_error,
)
from analysis.sources.raw_results import METRIC_NAMES, PackedBits, RawResults
from analysis.sources.source_location import CORRECT_FILE

_TRIALS = """
    SELECT runs.run_uuid FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid
    WHERE experiment_id = ? AND lifecycle_stage = 'active' AND tags.key = ?
"""


def read_sqlite(path: Path, name: str) -> RawResults | None:
    """Return the trials of experiment `name`; None where the database has other tables."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return _read_experiment(database, name, str(path))
    except sqlite3.Error:
        return None


def _read_experiment(database: sqlite3.Connection, name: str, location: str) -> RawResults:
    """Return the trials of an experiment from an open database."""
    names = dict(
        database.execute(
            "SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active'"
        )
    )
    if name not in names:
        raise make_missing_experiment_error(name, names, location)
    experiment = names[name]
    tags = dict(
        database.execute(
            "SELECT key, value FROM experiment_tags WHERE experiment_id = ?", (experiment,)
        )
    )
    trial = (experiment, TRIAL_TAG)
    columns = "runs.run_uuid, start_time, end_time, artifact_uri"
    infos = database.execute(
        f"{_TRIALS.replace('runs.run_uuid', columns, 1)} ORDER BY start_time, name", trial
    ).fetchall()
    texts: dict[str, dict[str, dict[str, str]]] = {}
    for table in ("tags", "params"):
        texts[table] = defaultdict(dict)
        for run_id, key, value in database.execute(
            f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN ({_TRIALS})", trial
        ):
            texts[table][run_id][key] = value
    points = database.execute(
        f"""
        SELECT run_uuid, key, step, timestamp, value FROM metrics
        WHERE run_uuid IN ({_TRIALS}) AND is_nan = 0
          AND key IN ({", ".join("?" * len(METRIC_NAMES))})
        """,
        (*trial, *METRIC_NAMES),
    )
    runs = [
        TrialRun(run_id, texts["tags"][run_id], texts["params"][run_id], start, end)
        for run_id, start, end, _ in infos
    ]
    files = ((run_id, _read_local_correct_examples(uri)) for run_id, _, _, uri in infos)
    correct = {run_id: bits for run_id, bits in files if bits is not None}
    return collect_raw_results(name, tags, runs, points, correct)


def _read_local_correct_examples(artifact_uri: str) -> PackedBits | None:
    """Return which test examples were right, if the run's artifacts are on this machine."""
    parts = urlsplit(artifact_uri)
    if parts.scheme not in ("", "file") or not parts.path:
        return None
    return read_correct_examples(Path(unquote(parts.path)) / CORRECT_FILE)
