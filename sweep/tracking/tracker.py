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
TRIAL_ID = "sweep.trial_id"
DIGEST = "sweep.record_digest"
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
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@dataclass
class Shown:
    """What a trial's run shows, as far as it is known: its tags, and epochs shipped from here."""

    run_id: str
    started_ms: int | None
    tags: dict[str, str]
    num_epochs: int = 0

    def of_another(self, record: Record) -> bool:
        """Whether the run shows an earlier record of the trial, one that was since deleted."""
        begun = _start_ms(record)
        return begun is not None and self.started_ms is not None and begun != self.started_ms


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
        self.runs: dict[str, Shown] = {}
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
        shown = self.runs.get(record.trial_id)
        if shown and shown.of_another(record):
            self._delete(record.trial_id)
            shown = None
        if shown and shown.tags.get(DIGEST) == digest:
            return False
        shown = shown or self._create(record, trial, tags)
        if DIGEST not in shown.tags:
            self._log_params(shown.run_id, record)
        self._log_epochs(shown, record)
        if record.outcome:
            self.client.log_text(shown.run_id, record.to_json().decode(), RECORD)
            self._log_correct(shown.run_id, record)
        self._set_status(shown.run_id, status, record)
        self._set_tags(shown, tags, digest)
        return True

    def _set_tags(self, shown: Shown, tags: dict[str, str], digest: str) -> None:
        """The digest comes last: with it the run counts as up to date."""
        from mlflow.entities import RunTag

        new = [RunTag(key, value) for key, value in tags.items() if shown.tags.get(key) != value]
        self.client.log_batch(shown.run_id, tags=new)
        for key in shown.tags.keys() & ERROR_TAGS - tags.keys():  # a retry went well
            self.client.delete_tag(shown.run_id, key)
        self.client.set_tag(shown.run_id, DIGEST, digest)
        shown.tags = {**tags, DIGEST: digest}

    def _set_status(self, run_id: str, status: str, record: Record) -> None:
        if status == "RUNNING":
            self.client.update_run(run_id, status="RUNNING")
        else:
            self.client.set_terminated(run_id, status, end_time=_end_ms(record))

    def _log_epochs(self, shown: Shown, record: Record) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, float(value), epoch["timestamp_ms"], epoch["epoch"])
            for epoch in record.epochs[shown.num_epochs :]
            for name, value in epoch.items()
            if name not in NOT_METRICS and value is not None and math.isfinite(value)
        ]
        for chunk in _chunks(metrics, METRICS_PER_CALL):
            self.client.log_batch(shown.run_id, metrics=chunk)
        # An attempt that resumed from an older checkpoint may have shortened the record.
        shown.num_epochs = len(record.epochs)

    def _log_correct(self, run_id: str, record: Record) -> None:
        content = self.folder.trial(record.trial_id).correct()
        if content is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / CORRECT
            file.write_bytes(content)
            self.client.log_artifact(run_id, str(file))

    def _create(self, record: Record, trial: GridTrial, tags: Mapping[str, str]) -> Shown:
        run = self.client.create_run(
            self.experiment_id,
            start_time=_start_ms(record),
            tags={TRIAL_ID: record.trial_id, **tags},
            run_name=trial.name,
        )
        self.runs[record.trial_id] = Shown(run.info.run_id, run.info.start_time, dict(tags))
        return self.runs[record.trial_id]

    def _delete(self, trial_id: str) -> None:
        """Move a run to MLflow's bin, from which a person can restore it."""
        self.client.delete_run(self.runs.pop(trial_id).run_id)

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
                self._take(Shown(run.info.run_id, run.info.start_time, dict(run.data.tags)))
            token = page.token
            if not token:
                return

    def _take(self, found: Shown) -> None:
        """Note a run that is there.

        A trial has two when the answer to `create_run` was lost and the call repeated: one goes.
        """
        trial_id = found.tags.get(TRIAL_ID, "")
        there = self.runs.get(trial_id)
        if there and DIGEST in found.tags:
            self._delete(trial_id)
        elif there:
            self.client.delete_run(found.run_id)
            return
        self.runs[trial_id] = found


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
