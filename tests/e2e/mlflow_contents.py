"""What an MLflow store holds, read through MLflow's own client and held against the records."""

from __future__ import annotations

import math
import os
from typing import Any

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

Row = tuple[str, int, float, int]
Records = dict[str, dict[str, Any]]
STATUS = {"completed": "FINISHED", "diverged": "FINISHED", "failed": "FAILED", None: "KILLED"}


def runs(uri: str, experiment: str = "small") -> list[Run]:
    """The runs of an experiment; none if there is no such experiment yet."""
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id])) if found else []


def statuses(uri: str) -> set[str]:
    return {run.info.status for run in runs(uri)}


def num_rows(uri: str) -> int:
    return sum(len(rows(uri, run)) for run in runs(uri))


def rows(uri: str, run: Run) -> list[Row]:
    """Every row of every metric: name, step, value, timestamp."""
    client = MlflowClient(uri)
    return sorted(
        (metric.key, metric.step, metric.value, metric.timestamp)
        for key in run.data.metrics
        for metric in client.get_metric_history(run.info.run_id, key)
    )


def recorded(record: dict[str, Any]) -> list[Row]:
    """The rows that a record stands for."""
    return sorted(
        (key, epoch["epoch"], float(value), epoch["timestamp_ms"])
        for i, epoch in enumerate(record["epochs"])
        for key, value in {
            **epoch,
            **{f"system/{name}": values[i] for name, values in record["system"].items()},
        }.items()
        if key not in ("epoch", "timestamp_ms") and value is not None and math.isfinite(value)
    )


def assert_shows(uri: str, records: Records) -> None:
    """One run per trial, one row per metric and epoch, each with its status and outcome."""
    found = runs(uri)
    trials = [run.data.tags["sweep.trial_id"] for run in found]
    assert sorted(trials) == sorted(records)
    for run in found:
        record = records[run.data.tags["sweep.trial_id"]]
        assert run.info.status == STATUS[record["outcome"]]
        assert run.data.tags["sweep.outcome"] == (record["outcome"] or "running")
        assert rows(uri, run) == recorded(record)
