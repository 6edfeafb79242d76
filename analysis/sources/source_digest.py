"""Digest of everything that a report reads, to tell whether a source has changed."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from analysis.sources.source_location import CORRECT_FILE, LOOKS_FILE, SourceLocation

PACKAGE_FOLDER = Path(__file__).parents[1]
DRAWING_PACKAGES = ("matplotlib", "numpy", "pandas", "scipy")

_EXPERIMENT = "SELECT experiment_id FROM experiments WHERE name = ?"
_RUNS = f"SELECT run_uuid FROM runs WHERE experiment_id IN ({_EXPERIMENT})"
_QUERIES = (
    f"SELECT key, value FROM experiment_tags WHERE experiment_id IN ({_EXPERIMENT}) ORDER BY key",
    "SELECT run_uuid, lifecycle_stage FROM runs "
    f"WHERE experiment_id IN ({_EXPERIMENT}) ORDER BY run_uuid",
    # The report's own run is written after the report and is no part of what it says.
    f"SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({_RUNS}) AND run_uuid NOT IN "
    "(SELECT run_uuid FROM tags WHERE key = 'sweep.kind') ORDER BY run_uuid, key",
    f"SELECT run_uuid, key, value FROM params WHERE run_uuid IN ({_RUNS}) ORDER BY run_uuid, key",
    "SELECT run_uuid, count(*), sum(value), sum(value * step), sum(timestamp) FROM metrics "
    f"WHERE run_uuid IN ({_RUNS}) GROUP BY run_uuid ORDER BY run_uuid",
)


def compute_source_digest(location: SourceLocation, options: object) -> str | None:
    """Return a digest of the source, the options and this package; None if expensive to compute.

    Of a database's curves, each run's number of points and their sums are digested; of a server,
    each run's tags, params and newest metrics, which a server returns for a thousand runs at a
    time.
    """
    digest = hashlib.sha256(repr(options).encode())
    for path in sorted(PACKAGE_FOLDER.rglob("*.*")):
        if path.suffix in {".py", ".j2", ".yaml"}:
            digest.update(path.read_bytes())
    for name in DRAWING_PACKAGES:
        digest.update(version(name).encode())
    try:
        found = False
        for part in _read_content(location):
            digest.update(part)
            found = True
    except (OSError, sqlite3.Error):
        return None
    return digest.hexdigest() if found else None


def _read_content(location: SourceLocation) -> Iterator[bytes]:
    """Yield the bytes that the digest is over: files, rows of a database, or states of runs."""
    if location.kind == "csv":
        yield location.path.read_bytes()
    elif location.kind == "records":
        yield (location.path / "sweep.json").read_bytes()
        looks = location.path / LOOKS_FILE
        yield looks.read_bytes() if looks.is_file() else b""
        for record in sorted((location.path / "trials").glob("*/record.json")):
            yield str(record.parent.name).encode() + record.read_bytes()
            bits = record.with_name(CORRECT_FILE)
            yield bits.read_bytes() if bits.is_file() else b""
    elif location.kind == "server":
        from analysis.sources.mlflow_client import read_run_states

        yield from (text.encode() for text in read_run_states(location.uri, location.name))
    elif location.kind == "sqlite":
        uri = f"{location.path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            for query in _QUERIES:
                yield from (repr(row).encode() for row in database.execute(query, (location.name,)))
