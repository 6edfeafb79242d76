"""Time and memory of a report on a large MLflow store, beside `mlflow.search_runs` alone.

    python benchmarks/analysis.py --trials 1000 --epochs 50

builds a SQLite store with that many trials (12 metrics each), reports on it twice in fresh
processes, and prints seconds, seconds on a core and peak memory. The rows are written straight
into the tables that MLflow made, since logging them through its client would take an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

EXPERIMENT = "large"
METRICS = (
    *("train_loss", "train_error", "test_loss", "test_error", "best_test_error", "lr"),
    *("num_updates", "train_s", "eval_s", "grad_norm", "weight_norm", "memory"),
)
NORMS = (
    *("batchnorm", "groupnorm", "assocnorm", "layernorm", "instancenorm"),
    *("batchrenorm", "renorm_debias", "groupnorm(num_groups=4)", "groupnorm(num_groups=8)"),
    "groupnorm(num_groups=16)",
)
BATCH_SIZES = (128, 64, 32, 16, 10, 8, 5, 4, 2, 1)


def build(database: Path, num_trials: int, num_epochs: int) -> None:
    """Make a store whose experiment has `num_trials` finished trials."""
    from mlflow import MlflowClient

    seeds = -(-num_trials // (len(NORMS) * len(BATCH_SIZES)))
    client = MlflowClient(f"sqlite:///{database}")
    expected = [
        {"norm": n, "variant": "", "batch_sizes": list(BATCH_SIZES), "seeds": list(range(seeds))}
        for n in NORMS
    ]
    experiment = client.create_experiment(
        EXPERIMENT,
        artifact_location=(database.parent / "artifacts").as_uri(),
        tags={f"sweep.expected.{EXPERIMENT}": json.dumps(expected)},
    )
    rng = np.random.default_rng(0)
    cells = [(n, b, s) for s in range(seeds) for n in NORMS for b in BATCH_SIZES][:num_trials]
    with closing(sqlite3.connect(database)) as connection, connection:
        for norm, size, seed in cells:
            _insert(connection, experiment, (norm, size, seed), num_epochs, rng)


def _insert(
    connection: sqlite3.Connection,
    experiment: str,
    cell: tuple[str, int, int],
    num_epochs: int,
    rng: np.random.Generator,
) -> None:
    norm, size, seed = cell
    run = uuid.UUID(bytes=rng.bytes(16)).hex
    connection.execute(
        "INSERT INTO runs (run_uuid, name, experiment_id, status, lifecycle_stage, start_time, "
        "user_id, artifact_uri) VALUES (?, ?, ?, 'FINISHED', 'active', 1700000000000, '', '')",
        (run, f"{norm}-bs{size:03d}-s{seed}", int(experiment)),
    )
    tags = {"norm": norm, "sweep.trial_id": run[:12], "sweep.name": EXPERIMENT}
    tags |= {"sweep.outcome": "completed", "sweep.variant": "", "sweep.chance_error": "90.0"}
    params = {
        "norm": norm.partition("(")[0],
        "batch_size": size,
        "seed": seed,
        "data.name": "cifar10",
    }
    params |= {"model.name": "resnet18", "train.epochs": num_epochs, "train.optimizer.lr": 0.1}
    for table, pairs in (("tags", tags), ("params", params)):
        connection.executemany(
            f"INSERT INTO {table} (run_uuid, key, value) VALUES (?, ?, ?)",
            [(run, key, str(value)) for key, value in pairs.items()],
        )
    points = list(_points(norm, size, num_epochs, rng))
    connection.executemany(
        "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) "
        "VALUES (?, ?, ?, ?, ?, 0)",
        [(run, *point) for point in points],
    )
    connection.executemany(
        "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) "
        "VALUES (?, ?, ?, ?, ?, 0)",
        [(run, *point) for point in points if point[3] == num_epochs],
    )


def _points(
    norm: str, size: int, num_epochs: int, rng: np.random.Generator
) -> Iterator[tuple[str, float, int, int]]:
    level = 6 + NORMS.index(norm) / 4 + rng.normal(0, 0.2) + 3 / size
    for epoch in range(1, num_epochs + 1):
        error = level + 60 * 0.9**epoch
        for place, metric in enumerate(METRICS):
            value = error if "error" in metric else float(place + epoch)
            yield metric, value, 1_700_000_000_000 + epoch, epoch


def timed(*command: str | Path, uri: str) -> tuple[float, float, float]:
    """Seconds, those of them on a core, and peak memory (MiB) of a command's own process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment: dict[str, Any] = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    on_core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, on_core, after.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--keep", type=Path, help="keep the store and the report in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        database = folder / "mlflow.db"
        build(database, options.trials, options.epochs)
        uri = f"sqlite:///{database}"
        report = [
            sys.executable,
            "-m",
            "analysis",
            "report",
            EXPERIMENT,
            "--out",
            folder / "report",
        ]
        runs = "import mlflow; mlflow.search_runs(experiment_names=['large'], max_results=50000)"
        rows = [
            ("report", *timed(*report, uri=uri)),
            ("report again", *timed(*report, uri=uri)),
            ("search_runs alone", *timed(sys.executable, "-c", runs, uri=uri)),
        ]
    print(f"{options.trials} trials x {len(METRICS)} metrics x {options.epochs} epochs")
    for name, seconds, on_core, peak in rows:
        print(f"{name:20} {seconds:6.1f} s   CPU {on_core:6.1f} s   peak so far {peak:6.0f} MiB")


if __name__ == "__main__":
    main()
