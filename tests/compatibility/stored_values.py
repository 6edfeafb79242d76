"""Read what a program left in a folder, without what differs from one run of it to the next.

As a program it writes the expected values, from a folder in which the commands named in
`test_earlier_store.py` were typed: `python stored_values.py FOLDER EXPECTED`.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

Json = dict[str, Any]
GRIDS = ("single", "side-by-side", "interrupted")
REPORTED = ("single", "side-by-side")
# What a plan says of the machine it is made on, or of how long trials took there.
OF_THE_MACHINE = ("records", "slots", "left_s", "occupations", "saved_side_by_side")
# An epoch's values that are the same wherever the bits are.
RESULTS = ("train_loss", "train_error", "test_loss", "test_error", "best_test_error", "num_updates")
LINK = re.compile(r"/experiments/\d+/runs(/[0-9a-f]{32})?")


def read_plan(printed: str) -> Json:
    """Return what `plan --json` printed, without places and times."""
    plan: Json = json.loads(printed)
    return {key: value for key, value in plan.items() if key not in OF_THE_MACHINE}


def read_mlflow_rows(store: Path) -> Json:
    """Return an SQLite store's rows: experiment -> its tags, what its runs share, and its runs.

    Inside tags the ids of runs and experiments are replaced, as MLflow draws them anew; the charts'
    settings, which are long, are replaced by their hash.
    """
    with closing(sqlite3.connect(store)) as connection:
        experiments = connection.execute("select experiment_id, name from experiments").fetchall()
        return {
            name: {
                "tags": _read_texts(connection, "experiment_tags", "experiment_id", key),
                **_share(_read_runs(connection, key)),
            }
            for key, name in experiments
            if name != "Default"
        }


def _read_runs(connection: sqlite3.Connection, experiment: int) -> dict[str, Json]:
    runs = connection.execute(
        "select run_uuid, name, status from runs where experiment_id = ?"
        " and lifecycle_stage = 'active' order by name",
        (experiment,),
    ).fetchall()
    return {
        name: {
            "status": status,
            "params": _read_texts(connection, "params", "run_uuid", run),
            "tags": _read_texts(connection, "tags", "run_uuid", run),
            "metrics": [
                f"{metric} {step} {value!r} {timestamp}"
                for metric, step, value, timestamp in connection.execute(
                    "select key, step, value, timestamp from metrics where run_uuid = ?"
                    " order by key, step",
                    (run,),
                )
            ],
        }
        for run, name, status in runs
    }


def _read_texts(
    connection: sqlite3.Connection, table: str, column: str, owner: int | str
) -> dict[str, str]:
    rows = connection.execute(f"select key, value from {table} where {column} = ?", (owner,))
    return {
        key: hashlib.sha256(value.encode()).hexdigest()
        if key.startswith("mlflow.sharedViewState.")
        else LINK.sub("/experiments/ID/runs", value)
        for key, value in sorted(rows)
    }


def _share(runs: dict[str, Json]) -> Json:
    """Take the params and tags that all runs have alike out of them, once for the experiment."""
    shared = {
        kind: dict(set.intersection(*(set(run[kind].items()) for run in runs.values())))
        for kind in ("params", "tags")
    }
    for kind, texts in shared.items():
        for run in runs.values():
            run[kind] = {key: text for key, text in run[kind].items() if key not in texts}
    return {"of every run": shared, "runs": runs}


def read_results(trials: Path) -> Json:
    """Return trial id -> hashes of its weights and files, and the results of each epoch.

    The files are the predictions on the test set and the last checkpoint.
    """
    records = [json.loads(file.read_text()) for file in sorted(trials.glob("*/record.json"))]
    return {
        record["trial_id"]: {
            "weights_digest": record["weights_digest"],
            "files": {
                name: hashlib.sha256((trials / record["trial_id"] / name).read_bytes()).hexdigest()
                for name in ("correct.npy", f"checkpoint-{len(record['epochs']):06d}.pt")
            },
            "epochs": [" ".join(repr(epoch[key]) for key in RESULTS) for epoch in record["epochs"]],
        }
        for record in records
    }


def describe_machine() -> Json:
    """Return what decides the bits of a training: processor and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    fields = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in lines if ":" in line)
    processor = [fields.get(key, "unknown") for key in ("vendor_id", "cpu family", "model")]
    return {
        "processor": " ".join([*processor, torch.backends.cpu.get_cpu_capability()]),
        "torch": version("torch"),
        "torchvision": version("torchvision"),
    }


def main(folder: Path, expected: Path) -> None:
    """Write the expected values of a folder."""
    expected.mkdir(exist_ok=True)
    values = {
        "plans": {grid: read_plan((folder / f"plan-{grid}.json").read_text()) for grid in GRIDS},
        "mlflow": read_mlflow_rows(folder / "mlflow.db"),
        "results": {
            grid: read_results(folder / "finished/runs" / grid / "trials") for grid in GRIDS
        },
        "machine": describe_machine(),
    }
    for name, value in values.items():
        text = json.dumps(value, indent=0, sort_keys=True, ensure_ascii=False)
        (expected / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for grid in REPORTED:
        tables = expected / "report" / grid / "tables"
        tables.mkdir(parents=True, exist_ok=True)
        for path in sorted((folder / "report" / grid / "tables").glob("*.csv")):
            shutil.copy(path, tables / path.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
