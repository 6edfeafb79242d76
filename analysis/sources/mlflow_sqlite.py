"""Reading MLflow's SQLite database directly: read-only, and without importing MLflow.

Importing MLflow takes longer than everything else a report does, and its client asks one query
for each run and metric. The seven tables read here have kept their columns since MLflow 1;
where they differ, `read_sqlite` returns None and MLflow's own client is used instead.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from analysis.sources.assemble import METRIC_NAMES, Found
from analysis.sources.mlflow_runs import TRIAL_TAG, Run, found_in, no_experiment

_TRIALS = """
    SELECT runs.run_uuid FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid
    WHERE experiment_id = ? AND lifecycle_stage = 'active' AND tags.key = ?
"""


def read_sqlite(path: Path, name: str) -> Found | None:
    """The trials of experiment `name`, or None where the database is not as expected."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return _read(database, name, str(path))
    except sqlite3.Error:
        return None


def _read(database: sqlite3.Connection, name: str, where: str) -> Found:
    names = dict(
        database.execute(
            "SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active'"
        )
    )
    if name not in names:
        raise no_experiment(name, names, where)
    experiment = names[name]
    tags = dict(
        database.execute(
            "SELECT key, value FROM experiment_tags WHERE experiment_id = ?", (experiment,)
        )
    )
    trial = (experiment, TRIAL_TAG)
    ids = [row[0] for row in database.execute(f"{_TRIALS} ORDER BY start_time, name", trial)]
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
    runs = [Run(run_id, texts["tags"][run_id], texts["params"][run_id]) for run_id in ids]
    return found_in(name, tags, runs, points)
