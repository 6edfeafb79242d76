"""Whether a source has changed: a digest of everything a report reads, without any frames."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from analysis.sources.source_location import CORRECT, Place

PACKAGE = Path(__file__).parents[1]
DRAWN_WITH = ("matplotlib", "numpy", "pandas", "scipy")

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


def fingerprint(place: Place, options: object) -> str | None:
    """A digest of the source, the options and this package; None where it cannot be had cheaply.

    Of a database's curves it takes each run's number of points and their sums; of a server's
    each run's tags, params and newest values, which it hands out a thousand runs at a time.
    """
    digest = hashlib.sha256(repr(options).encode())
    for path in sorted(PACKAGE.rglob("*.*")):
        if path.suffix in {".py", ".j2", ".yaml"}:
            digest.update(path.read_bytes())
    for name in DRAWN_WITH:
        digest.update(version(name).encode())
    try:
        found = False
        for part in _parts(place):
            digest.update(part)
            found = True
    except (OSError, sqlite3.Error):
        return None
    return digest.hexdigest() if found else None


def _parts(place: Place) -> Iterator[bytes]:
    if place.kind == "csv":
        yield place.path.read_bytes()
    elif place.kind == "records":
        yield (place.path / "sweep.json").read_bytes()
        for record in sorted((place.path / "trials").glob("*/record.json")):
            yield str(record.parent.name).encode() + record.read_bytes()
            bits = record.with_name(CORRECT)
            yield bits.read_bytes() if bits.is_file() else b""
    elif place.kind == "server":
        from analysis.sources.mlflow_client import states

        yield from (text.encode() for text in states(place.uri, place.name))
    elif place.kind == "sqlite":
        uri = f"{place.path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            for query in _QUERIES:
                yield from (repr(row).encode() for row in database.execute(query, (place.name,)))
