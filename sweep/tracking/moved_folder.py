"""Repairs an MLflow store whose folder was moved or copied: it has artifacts by absolute paths.

MLflow has no call to change them. In a SQLite store that lies in the working folder, the paths of
an experiment and of its runs are rewritten, so that nothing is read from, or written to, where the
folder was.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from sweep.records.record import RECORD
from sweep.tracking.runs import DIGEST

ARTIFACTS = "mlruns"


class MovedArtifacts(NamedTuple):
    """The artifact folder before and after the move, and how many runs have no artifacts there."""

    before: Path
    now: Path
    num_absent: int


def rewrite_artifact_paths(database: Path, experiment_id: str) -> MovedArtifacts | None:
    """Rewrite an experiment's artifact paths to `mlruns` beside its store, if its folder was moved.

    The folder was moved if the paths name the `mlruns` of another folder that is not there; it was
    copied if the runs' artifacts are here too. A run without its record among the artifacts loses
    its digest, and so is exported again.

    Args:
        database: file of the SQLite store.
        experiment_id: MLflow's id of the experiment.

    Returns:
        What was changed; None if nothing was.
    """
    now = database.absolute().parent / ARTIFACTS
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        query = "SELECT artifact_location FROM experiments WHERE experiment_id = ?"
        (location,) = connection.execute(query, (experiment_id,)).fetchone()
        before = _path(location)
        if before is None or before.name != ARTIFACTS or before == now:
            return None
        query = "SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id = ?"
        runs = dict(connection.execute(query, (experiment_id,)).fetchall())
        is_here = any((now / run_id).is_dir() for run_id in runs)
        if before.parent.exists() and not is_here:
            return None  # artifacts of another folder, where they are wanted
        absent = []
        for run_id, uri in runs.items():
            path = _path(uri)
            if path is not None and path.is_relative_to(before):
                here = now / path.relative_to(before)
                update = "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?"
                connection.execute(update, (here.as_uri(), run_id))
                if not (here / RECORD).exists():
                    absent.append(run_id)
        for run_id in absent:
            connection.execute("DELETE FROM tags WHERE run_uuid = ? AND key = ?", (run_id, DIGEST))
        update = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?"
        connection.execute(update, (now.as_uri(), experiment_id))
    return MovedArtifacts(before, now, len(absent))


def _path(uri: str | None) -> Path | None:
    """Return the local path of a `file:` URI or of a plain path; None for anything else."""
    parts = urlsplit(uri or "")
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost") or not parts.path:
        return None
    return Path(unquote(parts.path))
