"""Records -> MLflow: the only place that writes to MLflow, and idempotent.

A run carries the digest of the record that it shows, so what has not changed is skipped, and
whatever an interruption left half-shipped is simply shipped again: a metric with the same
timestamp, step and value adds no row.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sweep.grid.expansion import GridTrial
from sweep.grid.layout import Grid
from sweep.records.record import CORRECT, RECORD, Record, SweepFolder
from sweep.records.storage import Storage
from sweep.tracking.names import experiment_tags, flatten, run_tags
from trainables.spec import Outcome

METRICS_PER_CALL = 900
ITEMS_PER_CALL = 90
NOT_METRICS = {"epoch", "timestamp_ms"}
ERROR_TAGS = {"sweep.error"}
STATUS = {
    Outcome.COMPLETED: "FINISHED",
    Outcome.DIVERGED: "FINISHED",
    Outcome.OUT_OF_MEMORY: "FAILED",
    Outcome.FAILED: "FAILED",
}


@dataclass(frozen=True)
class Place:
    """Where to look at the experiment: its id, the tracking URI, a link, the command for it."""

    experiment_id: str
    tracking_uri: str

    @property
    def command(self) -> str | None:
        """The command that serves the store, or None if it is a server already."""
        if self.tracking_uri.startswith(("http", "databricks")):
            return None
        default = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
        if self.tracking_uri in (default, "sqlite:///mlflow.db"):
            return f"{_program()} ui"
        return f"{_program()} ui --backend-store-uri {self.tracking_uri}"

    @property
    def link(self) -> str:
        """The experiment's page."""
        base = self.tracking_uri if self.command is None else "http://127.0.0.1:5000"
        return f"{base.rstrip('/')}/#/experiments/{self.experiment_id}/runs"


def _program() -> str:
    """`mlflow`, with its folder where the shell would not find it."""
    if shutil.which("mlflow"):
        return "mlflow"
    beside = Path(sys.executable).parent / "mlflow"
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)


def quieten() -> None:
    """No line, no telemetry and no long retries from MLflow; to be called before its import."""
    import logging

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class Tracker:
    """Ships records of one grid. The sweep's lock keeps a second one away."""

    def __init__(self, grid: Grid) -> None:
        quieten()
        from mlflow.tracking import MlflowClient

        self.grid = grid
        self.folder = SweepFolder(Storage.at(grid.storage).below(grid.name))
        self.trials = {trial.trial_id: trial for trial in grid.trials}
        self.client = MlflowClient()
        self.experiment_id = self._experiment()
        self.place = Place(self.experiment_id, str(self.client.tracking_uri))
        self.runs: dict[str, dict[str, str]] = {}
        self.run_ids: dict[str, str] = {}
        self.shipped_epochs: dict[str, int] = {}
        self._fetch_runs()

    def ship(self, records: Iterable[Record], *, ended: bool = False) -> int:
        """Bring MLflow up to these records; returns how many runs had to be touched.

        `ended` says that nobody trains any more: a trial without an outcome is then shown as
        killed, not as running.
        """
        return sum(self._ship(record, ended) for record in records)

    def _ship(self, record: Record, ended: bool) -> bool:
        trial = self.trials.get(record.trial_id)
        if trial is None:
            return False
        status = STATUS[record.outcome] if record.outcome else "KILLED" if ended else "RUNNING"
        tags = run_tags(record, trial, self.grid.name)
        digest = _digest(record, status, tags)
        known = self.runs.get(record.trial_id, {})
        if known.get("sweep.record_digest") == digest:
            return False
        run_id = self.run_ids.get(record.trial_id) or self._create(record, trial, tags)
        if "sweep.record_digest" not in known:
            self._log_params(run_id, record)
        self._log_epochs(run_id, record)
        if record.outcome:
            self.client.log_text(run_id, record.to_json().decode(), RECORD)
            self._log_correct(run_id, record)
        self._set_status(run_id, status, record)
        for key, value in {**tags, "sweep.record_digest": digest}.items():
            if known.get(key) != value:
                self.client.set_tag(run_id, key, value)
        for key in known.keys() & ERROR_TAGS - tags.keys():  # a retry went well
            self.client.delete_tag(run_id, key)
        self.runs[record.trial_id] = {**tags, "sweep.record_digest": digest}
        return True

    def _set_status(self, run_id: str, status: str, record: Record) -> None:
        if status == "RUNNING":
            self.client.update_run(run_id, status="RUNNING")
        else:
            self.client.set_terminated(run_id, status, end_time=_end_ms(record))

    def _log_epochs(self, run_id: str, record: Record) -> None:
        from mlflow.entities import Metric

        new = record.epochs[self.shipped_epochs.get(record.trial_id, 0) :]
        metrics = [
            Metric(name, float(value), epoch["timestamp_ms"], epoch["epoch"])
            for epoch in new
            for name, value in epoch.items()
            if name not in NOT_METRICS and value is not None and math.isfinite(value)
        ]
        for chunk in _chunks(metrics, METRICS_PER_CALL):
            self.client.log_batch(run_id, metrics=chunk)
        # An attempt that resumed from an older checkpoint may have shortened the record.
        self.shipped_epochs[record.trial_id] = len(record.epochs)

    def _log_correct(self, run_id: str, record: Record) -> None:
        content = self.folder.trial(record.trial_id).correct()
        if content is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / CORRECT
            file.write_bytes(content)
            self.client.log_artifact(run_id, str(file))

    def _create(self, record: Record, trial: GridTrial, tags: Mapping[str, str]) -> str:
        run = self.client.create_run(
            self.experiment_id,
            start_time=_start_ms(record),
            tags={"sweep.trial_id": record.trial_id, **tags},
            run_name=trial.name,
        )
        self.run_ids[record.trial_id] = str(run.info.run_id)
        return self.run_ids[record.trial_id]

    def _log_params(self, run_id: str, record: Record) -> None:
        from mlflow.entities import Param

        params = [Param(key, _short(value)) for key, value in flatten(record.spec)]
        for chunk in _chunks(params, ITEMS_PER_CALL):
            self.client.log_batch(run_id, params=chunk)

    def _experiment(self) -> str:
        name = self.grid.experiment
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            experiment_id = str(self.client.create_experiment(name, _artifact_location()))
            known: Mapping[str, str] = {}
        else:
            experiment_id, known = str(experiment.experiment_id), experiment.tags
            if experiment.lifecycle_stage == "deleted":
                self.client.restore_experiment(experiment_id)
        tags = experiment_tags(self.grid)
        further_parts = f"sweep.expected.{self.grid.name}#"
        outdated = {key: "[]" for key in known if key.startswith(further_parts)}
        for key, value in {**outdated, **tags}.items():
            if known.get(key) != value:
                self.client.set_experiment_tag(experiment_id, key, value)
        return experiment_id

    def _fetch_runs(self) -> None:
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                f"tags.\"sweep.name\" = '{self.grid.name}'",
                max_results=5000,
                page_token=token,
            )
            for run in page:
                trial_id = run.data.tags.get("sweep.trial_id", "")
                self.runs[trial_id] = run.data.tags
                self.run_ids[trial_id] = run.info.run_id
            token = page.token
            if not token:
                return


def _artifact_location() -> str | None:
    """An absolute folder for a local store, whose own default is relative; None for a server."""
    import mlflow

    if str(mlflow.get_tracking_uri()).startswith("sqlite:"):
        return (Path.cwd() / "mlruns").as_uri()
    return None


def _digest(record: Record, status: str, tags: Mapping[str, str]) -> str:
    content = record.to_json() + status.encode() + json.dumps(tags, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _short(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= 5000 else text[:5000] + "…"


def _start_ms(record: Record) -> int | None:
    return _ms(record.attempts[0]["started"]) if record.attempts else None


def _end_ms(record: Record) -> int | None:
    ended = record.attempts[-1]["ended"] if record.attempts else None
    if ended:
        return _ms(ended)
    return record.epochs[-1]["timestamp_ms"] if record.epochs else None


def _ms(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
