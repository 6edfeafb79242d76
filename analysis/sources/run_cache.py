"""Cache of finished runs' curves on this machine, as a server sends one metric at a time."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from analysis.sources.correct_examples import read_correct_examples
from analysis.sources.mlflow_runs import MetricPoint, TrialRun
from analysis.sources.raw_results import PackedBits

DIGEST_TAG = "sweep.record_digest"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY, digest TEXT NOT NULL, "
    "curves BLOB NOT NULL, correct BLOB)"
)


@dataclass(frozen=True)
class RunHistory:
    """All points of one run's curves, and which test examples it had right, if stored."""

    points: list[MetricPoint]
    correct: PackedBits | None


def get_cache_path() -> Path:
    """Return the path of the cache file, in the user's cache folder (`XDG_CACHE_HOME`)."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "norm-sweep" / "runs.sqlite"


def is_cacheable(run: TrialRun) -> bool:
    """Return whether a run has ended and has the digest of its record."""
    return DIGEST_TAG in run.tags and run.tags.get("sweep.outcome", "running") != "running"


def read_cached_histories(runs: Iterable[TrialRun]) -> dict[str, RunHistory]:
    """Return by run id the cached histories of those `runs` that have not changed since.

    An unreadable cache gives an empty mapping.
    """
    wanted = {run.run_id: run.tags[DIGEST_TAG] for run in runs if is_cacheable(run)}
    found: dict[str, RunHistory] = {}
    try:
        with _open_database() as database:
            for run_id, digest in wanted.items():
                row = database.execute(
                    "SELECT curves, correct FROM runs WHERE run_id = ? AND digest = ?",
                    (run_id, digest),
                ).fetchone()
                if row:
                    found[run_id] = _unpack_history(run_id, *row)
    except (OSError, sqlite3.Error, ValueError, zlib.error):
        return {}
    return found


def cache_histories(runs: Iterable[TrialRun], histories: dict[str, RunHistory]) -> None:
    """Store the histories of finished runs; a cache that cannot be written is left as it is."""
    rows = [
        (run.run_id, run.tags[DIGEST_TAG], *_pack_history(histories[run.run_id]))
        for run in runs
        if run.run_id in histories and is_cacheable(run)
    ]
    try:
        with _open_database() as database, database:
            database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", rows)
    except (OSError, sqlite3.Error):
        return


@contextmanager
def _open_database() -> Iterator[sqlite3.Connection]:
    """Yield a connection to the cache, created if absent."""
    path = get_cache_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=5)) as database:
        database.execute(_TABLE)
        yield database


def _pack_history(history: RunHistory) -> tuple[bytes, bytes | None]:
    """Return a history's curves and correct examples as bytes for the cache."""
    curves = zlib.compress(json.dumps([point[1:] for point in history.points]).encode(), 1)
    if history.correct is None:
        return curves, None
    file = BytesIO()
    np.save(file, history.correct)
    return curves, file.getvalue()


def _unpack_history(run_id: str, curves: bytes, correct: bytes | None) -> RunHistory:
    """Return the history that the cache's bytes hold."""
    points = [(run_id, *point) for point in json.loads(zlib.decompress(curves))]
    return RunHistory(points, None if correct is None else read_correct_examples(BytesIO(correct)))
