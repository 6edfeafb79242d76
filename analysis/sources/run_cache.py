"""Curves of finished runs, kept on this machine: a server hands them out one metric at a time."""

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

from analysis.sources.correct_examples import read_bits
from analysis.sources.mlflow_runs import Point, Run
from analysis.sources.raw_results import Bits

DIGEST_TAG = "sweep.record_digest"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY, digest TEXT NOT NULL, "
    "curves BLOB NOT NULL, correct BLOB)"
)


@dataclass(frozen=True)
class History:
    """All points of one run's curves, and which test examples it had right, if it kept them."""

    points: list[Point]
    correct: Bits | None


def place() -> Path:
    """The cache's file, in the user's folder for such things (`XDG_CACHE_HOME`)."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "norm-sweep" / "runs.sqlite"


def cacheable(run: Run) -> bool:
    """Whether a run is over and says by its digest what it shows."""
    return DIGEST_TAG in run.tags and run.tags.get("sweep.outcome", "running") != "running"


def recall(runs: Iterable[Run]) -> dict[str, History]:
    """By run id what is kept of those `runs` that have not changed since; never an error."""
    wanted = {run.run_id: run.tags[DIGEST_TAG] for run in runs if cacheable(run)}
    found: dict[str, History] = {}
    try:
        with _database() as database:
            for run_id, digest in wanted.items():
                row = database.execute(
                    "SELECT curves, correct FROM runs WHERE run_id = ? AND digest = ?",
                    (run_id, digest),
                ).fetchone()
                if row:
                    found[run_id] = _unpacked(run_id, *row)
    except (OSError, sqlite3.Error, ValueError, zlib.error):
        return {}
    return found


def remember(runs: Iterable[Run], histories: dict[str, History]) -> None:
    """Keep what was read of finished runs; where nothing can be written, nothing is kept."""
    rows = [
        (run.run_id, run.tags[DIGEST_TAG], *_packed(histories[run.run_id]))
        for run in runs
        if run.run_id in histories and cacheable(run)
    ]
    try:
        with _database() as database, database:
            database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", rows)
    except (OSError, sqlite3.Error):
        return


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    path = place()
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=5)) as database:
        database.execute(_TABLE)
        yield database


def _packed(history: History) -> tuple[bytes, bytes | None]:
    curves = zlib.compress(json.dumps([point[1:] for point in history.points]).encode(), 1)
    if history.correct is None:
        return curves, None
    file = BytesIO()
    np.save(file, history.correct)
    return curves, file.getvalue()


def _unpacked(run_id: str, curves: bytes, correct: bytes | None) -> History:
    points = [(run_id, *point) for point in json.loads(zlib.decompress(curves))]
    return History(points, None if correct is None else read_bits(BytesIO(correct)))
