"""Records -> MLflow: the only place that writes to MLflow, and idempotent.

A run carries the digest of the record that it shows, so what has not changed is skipped, and
whatever an interruption left half-shipped is simply shipped again: a metric with the same
timestamp, step and value adds no row.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.grid.layout import Grid
from sweep.records.record import CORRECT, RECORD, Record, SweepFolder
from sweep.records.storage import Storage
from sweep.tracking.credentials import hidden
from sweep.tracking.names import flatten, run_tags
from sweep.tracking.place import Place
from sweep.tracking.runs import DIGEST, Runs, Shown, end_ms
from sweep.tracking.store import connect, experiment
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


class Tracker:
    """Ships records of one grid. The sweep's lock keeps a second one away."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.folder = SweepFolder(Storage.at(grid.storage).below(grid.name))
        self.trials = {trial.trial_id: trial for trial in grid.trials}
        self.client = connect()
        experiment_id = experiment(self.client, grid)
        self.place = Place(experiment_id, hidden(str(self.client.tracking_uri)))
        self.runs = Runs(self.client, experiment_id, grid.name)

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
        shown = self.runs.of(record)
        if shown and shown.tags.get(DIGEST) == digest:
            return False
        shown = shown or self.runs.create(record, trial, tags)
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
            self.client.set_terminated(run_id, status, end_time=end_ms(record))

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

    def _log_params(self, run_id: str, record: Record) -> None:
        from mlflow.entities import Param

        params = [Param(key, _short(value)) for key, value in flatten(record.spec)]
        for chunk in _chunks(params, ITEMS_PER_CALL):
            self.client.log_batch(run_id, params=chunk)


def _digest(record: Record, status: str, tags: Mapping[str, str]) -> str:
    content = record.to_json() + status.encode() + json.dumps(tags, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _short(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= 5000 else text[:5000] + "…"


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
