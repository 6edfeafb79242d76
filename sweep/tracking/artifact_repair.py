"""Repairs an SQLite store of MLflow whose artifacts were moved, copied or deleted with a folder.

Such a store has its artifacts by absolute paths, and MLflow has no call to change them. In a store
that lies in the working folder, the paths of an experiment and of its runs are rewritten, so that
nothing is read from, or written to, where the folder was. Runs whose artifacts were deleted are
exported again.
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


def mark_runs_without_artifacts(database: Path, experiment_id: str) -> int:
    """Have the ended runs whose artifact folders were deleted exported again.

    A run is exported again if it has no digest. Runs whose artifacts are not in a local folder are
    left as they are, and so are runs of a disk that is not mounted.

    Args:
        database: file of the SQLite store.
        experiment_id: MLflow's id of the experiment.

    Returns:
        How many runs lost their digest.
    """
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        query = (
            "SELECT runs.run_uuid, artifact_uri"
            " FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid"
            " WHERE experiment_id = ? AND tags.key = ? AND status IN ('FINISHED', 'FAILED')"
            " AND lifecycle_stage = 'active'"
        )
        runs = connection.execute(query, (experiment_id, DIGEST)).fetchall()
        paths = {run_id: _path(uri) for run_id, uri in runs}
        absent = [
            (run_id, DIGEST)
            for run_id, path in paths.items()
            if path is not None and not path.exists() and _mount_exists(path)
        ]
        connection.executemany("DELETE FROM tags WHERE run_uuid = ? AND key = ?", absent)
    return len(absent)


def _mount_exists(path: Path) -> bool:
    """Return whether the folder that holds `mlruns` of this artifact folder is there."""
    roots = [parent for parent in path.parents if parent.name == ARTIFACTS]
    return bool(roots) and roots[-1].parent.exists()


def _path(uri: str | None) -> Path | None:
    """Return the local path of a `file:` URI or of a plain path; None for anything else."""
    parts = urlsplit(uri or "")
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost") or not parts.path:
        return None
    return Path(unquote(parts.path))
