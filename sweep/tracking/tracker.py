"""Records -> MLflow: the only module that writes runs, and writing them twice changes nothing.

A run carries the digest of the record that it shows, so that unchanged records are skipped, and
what an interruption left half exported is exported again: a metric with the same timestamp, step
and value adds no row.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.records.epoch_record import EpochRecord
from sweep.records.flat_params import flatten_params
from sweep.records.record import Record, SweepFolder
from sweep.records.storage import Storage
from sweep.tracking.artifacts import Artifacts
from sweep.tracking.credentials import hide_password
from sweep.tracking.dataset import dataset_inputs
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.note_writer import NoteWriter
from sweep.tracking.notes import NOTE
from sweep.tracking.runs import DIGEST, ExportedState, Runs, end_ms
from sweep.tracking.store import (
    connect_store,
    get_or_create_experiment,
    ignore_unsupported,
    repair_artifacts,
    store_views,
)
from sweep.tracking.tags import run_tags
from sweep.tracking.view import CELL, COLOUR, norm_colours
from trainables.spec import Outcome

METRICS_PER_CALL = 900
PARAMS_PER_CALL = 90
MAX_PARAM_LENGTH = 5000
ERROR_TAGS = {"sweep.error"}
STATUS = {
    Outcome.COMPLETED: "FINISHED",
    Outcome.DIVERGED: "FINISHED",
    Outcome.OUT_OF_MEMORY: "FAILED",
    Outcome.FAILED: "FAILED",
}

Item = TypeVar("Item")

logger = logging.getLogger(__name__)


class Tracker:
    """A connection to MLflow that exports the records of one grid.

    The driver's lease keeps a second process from exporting the same sweep.

    Attributes:
        link: where the experiment is.
        note: a line that a person should know of the store; None if there is nothing.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.folder = SweepFolder(Storage.at(grid.storage).below(grid.name))
        self.trials = {trial.trial_id: trial for trial in grid.trials}
        self.client = connect_store()
        experiment_id = get_or_create_experiment(self.client, grid)
        self.note = repair_artifacts(self.client, experiment_id)
        view = store_views(self.client, experiment_id, grid)
        uri = hide_password(str(self.client.tracking_uri))
        self.link = ExperimentLink(experiment_id, uri, view)
        self.runs = Runs(self.client, experiment_id, grid.name)
        self.note_writer = NoteWriter(self.client, grid, self.link, self.runs)
        self.artifacts = Artifacts(self.client, grid)
        self.colours = norm_colours(grid)
        self.note_writer.write_experiment_note()
        logger.info("connected to MLflow at %s, experiment %s", uri, experiment_id)

    def export(self, records: Iterable[Record], *, ended: bool = False) -> int:
        """Update the MLflow runs of these records.

        Args:
            records: records of trials of the grid; others are ignored.
            ended: whether nobody trains any more: a trial without an outcome is then shown as
                killed, not as running.

        Returns:
            How many runs were created or changed.
        """
        num_exported = 0
        for record in records:
            trial = self.trials.get(record.trial_id)
            if trial is not None:
                num_exported += self._export_record(record, trial, ended)
                self.note_writer.set_result(trial, record)
        return num_exported

    def _export_record(self, record: Record, trial: GridTrial, ended: bool) -> bool:
        """Update a trial's run from its record; return whether anything had to be written."""
        status = STATUS[record.outcome] if record.outcome else "KILLED" if ended else "RUNNING"
        tags = run_tags(record, trial, self.grid.name)
        tags |= {CELL: trial.cell_name, COLOUR: self.colours[trial.norm]}
        digest = _compute_digest(record, status, tags)
        state = self.runs.find_run(record)
        if state and state.tags.get(DIGEST) == digest:
            return False
        if state is None:
            note = {NOTE: self.note_writer.first_note(trial)}
            state = self.runs.create(record, trial, {**tags, **note})
        if DIGEST not in state.tags:
            self._log_params(state.run_id, record)
        self._log_epochs(state, record)
        if record.outcome:
            with ignore_unsupported():
                self.client.log_inputs(state.run_id, datasets=dataset_inputs(record))
            self.artifacts.log(state.run_id, record, self.folder.trial(record.trial_id))
        self._set_status(state.run_id, status, record)
        self._set_tags(state, tags, digest)
        logger.debug("exported %s: %s, %d epochs", trial.name, status, len(record.epochs))
        return True

    def _set_tags(self, state: ExportedState, tags: dict[str, str], digest: str) -> None:
        """Set the tags that differ; the digest comes last, since it marks the run as complete."""
        from mlflow.entities import RunTag

        new = [RunTag(key, value) for key, value in tags.items() if state.tags.get(key) != value]
        self.client.log_batch(state.run_id, tags=new)
        for key in state.tags.keys() & ERROR_TAGS - tags.keys():  # a retry went well
            self.client.delete_tag(state.run_id, key)
        self.client.set_tag(state.run_id, DIGEST, digest)
        state.tags = {**tags, DIGEST: digest, NOTE: state.tags.get(NOTE, "")}

    def _set_status(self, run_id: str, status: str, record: Record) -> None:
        """Set the run to running, or to its final status with the time of its end."""
        if status == "RUNNING":
            self.client.update_run(run_id, status="RUNNING")
        else:
            self.client.set_terminated(run_id, status, end_time=end_ms(record))

    def _log_epochs(self, state: ExportedState, record: Record) -> None:
        """Log the metrics of the epochs that the run does not have yet."""
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, epoch.timestamp_ms, epoch.epoch)
            for epoch in record.epochs[state.num_epochs :]
            for name, value in _epoch_metrics(record, epoch).items()
        ]
        for chunk in _chunks(metrics, METRICS_PER_CALL):
            self.client.log_batch(state.run_id, metrics=chunk)
        # An attempt that resumed from an older checkpoint may have shortened the record.
        state.num_epochs = len(record.epochs)

    def _log_params(self, run_id: str, record: Record) -> None:
        """Log the fields of the record's spec as the run's params."""

        from mlflow.entities import Param

        params = [Param(key, _format_param(value)) for key, value in flatten_params(record.spec)]
        for chunk in _chunks(params, PARAMS_PER_CALL):
            self.client.log_batch(run_id, params=chunk)


def _compute_digest(record: Record, status: str, tags: Mapping[str, str]) -> str:
    """Return a digest (16 hex digits) of the record, status and tags that an MLflow run shows."""
    content = record.to_json() + status.encode() + json.dumps(tags, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _epoch_metrics(record: Record, epoch: EpochRecord) -> dict[str, float]:
    """Return an epoch's finite metrics; those of the worker's process begin with `system/`."""
    values = dict(epoch.values)
    del values["epoch"]  # MLflow has the step
    for name, column in record.system.items():
        if epoch.epoch <= len(column):
            values[f"system/{name}"] = column[epoch.epoch - 1]
    return {
        name: float(value)
        for name, value in values.items()
        if value is not None and math.isfinite(value)
    }


def _format_param(value: Any) -> str:
    """Return a param's value as text, cut to the length that MLflow accepts."""
    text = json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= MAX_PARAM_LENGTH else text[:MAX_PARAM_LENGTH] + "…"


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield the items in slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
