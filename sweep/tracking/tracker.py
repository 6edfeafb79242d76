"""Records -> MLflow: the only place that writes to MLflow, and idempotent.

A run carries the digest of the record that it shows, so what has not changed is skipped, and
whatever an interruption left half-shipped is simply shipped again: a metric with the same
timestamp, step and value adds no row.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.records.flat_params import flatten_params
from sweep.records.record import Record, SweepFolder
from sweep.records.storage import Storage
from sweep.tracking.artifacts import Artifacts
from sweep.tracking.credentials import hide_password
from sweep.tracking.dataset import datasets
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.note_writer import NoteWriter
from sweep.tracking.notes import NOTE
from sweep.tracking.runs import DIGEST, ExportedState, Runs, end_ms
from sweep.tracking.store import (
    connect_store,
    follow_folder,
    get_or_create_experiment,
    ignore_unsupported,
    show_views,
)
from sweep.tracking.tags import run_tags
from sweep.tracking.view import CELL, COLOUR, norm_colours
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
    """Ships records of one grid. The sweep's lock keeps a second one away.

    Attributes:
        place: where to look at the experiment.
        remark: a line on what a person should know of the store, if there is something.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.folder = SweepFolder(Storage.at(grid.storage).below(grid.name))
        self.trials = {trial.trial_id: trial for trial in grid.trials}
        self.client = connect_store()
        experiment_id = get_or_create_experiment(self.client, grid)
        self.remark = follow_folder(self.client, experiment_id)
        view = show_views(self.client, experiment_id, grid)
        self.place = ExperimentLink(
            experiment_id, hide_password(str(self.client.tracking_uri)), view
        )
        self.runs = Runs(self.client, experiment_id, grid.name)
        self.review = NoteWriter(self.client, grid, self.place, self.runs)
        self.artifacts = Artifacts(self.client, grid)
        self.colours = norm_colours(grid)
        self.review.begin()

    def ship(self, records: Iterable[Record], *, ended: bool = False) -> int:
        """Bring MLflow up to these records; returns how many runs had to be touched.

        `ended` says that nobody trains any more: a trial without an outcome is then shown as
        killed, not as running.
        """
        num_touched = 0
        for record in records:
            trial = self.trials.get(record.trial_id)
            if trial is not None:
                num_touched += self._ship(record, trial, ended)
                self.review.take(trial, record)
        return num_touched

    def _ship(self, record: Record, trial: GridTrial, ended: bool) -> bool:
        status = STATUS[record.outcome] if record.outcome else "KILLED" if ended else "RUNNING"
        tags = run_tags(record, trial, self.grid.name)
        tags |= {CELL: trial.cell_name, COLOUR: self.colours[trial.norm]}
        digest = _digest(record, status, tags)
        shown = self.runs.of(record)
        if shown and shown.tags.get(DIGEST) == digest:
            return False
        if shown is None:
            note = {NOTE: self.review.first_note(trial)}
            shown = self.runs.create(record, trial, {**tags, **note})
        if DIGEST not in shown.tags:
            self._log_params(shown.run_id, record)
        self._log_epochs(shown, record)
        if record.outcome:
            with ignore_unsupported():
                self.client.log_inputs(shown.run_id, datasets=datasets(record))
            self.artifacts.log(shown.run_id, record, self.folder.trial(record.trial_id))
        self._set_status(shown.run_id, status, record)
        self._set_tags(shown, tags, digest)
        return True

    def _set_tags(self, shown: ExportedState, tags: dict[str, str], digest: str) -> None:
        """The digest comes last: with it the run counts as up to date."""
        from mlflow.entities import RunTag

        new = [RunTag(key, value) for key, value in tags.items() if shown.tags.get(key) != value]
        self.client.log_batch(shown.run_id, tags=new)
        for key in shown.tags.keys() & ERROR_TAGS - tags.keys():  # a retry went well
            self.client.delete_tag(shown.run_id, key)
        self.client.set_tag(shown.run_id, DIGEST, digest)
        shown.tags = {**tags, DIGEST: digest, NOTE: shown.tags.get(NOTE, "")}

    def _set_status(self, run_id: str, status: str, record: Record) -> None:
        if status == "RUNNING":
            self.client.update_run(run_id, status="RUNNING")
        else:
            self.client.set_terminated(run_id, status, end_time=end_ms(record))

    def _log_epochs(self, shown: ExportedState, record: Record) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, float(value), epoch["timestamp_ms"], epoch["epoch"])
            for epoch in record.epochs[shown.num_epochs :]
            for name, value in (epoch | _system(record, epoch["epoch"])).items()
            if name not in NOT_METRICS and value is not None and math.isfinite(value)
        ]
        for chunk in _chunks(metrics, METRICS_PER_CALL):
            self.client.log_batch(shown.run_id, metrics=chunk)
        # An attempt that resumed from an older checkpoint may have shortened the record.
        shown.num_epochs = len(record.epochs)

    def _log_params(self, run_id: str, record: Record) -> None:
        from mlflow.entities import Param

        params = [Param(key, _short(value)) for key, value in flatten_params(record.spec)]
        for chunk in _chunks(params, ITEMS_PER_CALL):
            self.client.log_batch(run_id, params=chunk)


def _digest(record: Record, status: str, tags: Mapping[str, str]) -> str:
    content = record.to_json() + status.encode() + json.dumps(tags, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _system(record: Record, epoch: int) -> dict[str, float | None]:
    """An epoch's system metrics, by the names by which MLflow tells them from the others."""
    there = {name: values[epoch - 1 : epoch] for name, values in record.system.items()}
    return {f"system/{name}": values[0] for name, values in there.items() if values}


def _short(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= 5000 else text[:5000] + "…"


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
