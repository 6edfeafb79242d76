"""The MLflow runs of a sweep, one per trial: found, created and deleted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sweep.grid.expand import GridTrial
from sweep.records.record import Record

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

TRIAL_ID = "sweep.trial_id"
DIGEST = "sweep.record_digest"

logger = logging.getLogger(__name__)


@dataclass
class ExportedState:
    """The state of a trial's run in MLflow, as far as this process knows it.

    Attributes:
        run_id: MLflow's id of the run.
        started_ms: when the trial's first attempt began, in milliseconds since 1970.
        tags: tags of the run.
        num_epochs: epochs that this process has exported.
    """

    run_id: str
    started_ms: int | None
    tags: dict[str, str]
    num_epochs: int = 0

    def is_of_deleted_record(self, record: Record) -> bool:
        """Whether the run shows an earlier record of the trial, which was deleted since."""
        started = start_ms(record)
        return started is not None and self.started_ms is not None and started != self.started_ms


class Runs:
    """The runs of one sweep in its experiment.

    Attributes:
        states: what MLflow has of each trial's run, by the trial's id.
    """

    def __init__(self, client: MlflowClient, experiment_id: str, sweep: str) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self.states: dict[str, ExportedState] = {}
        self._fetch(sweep)

    def __contains__(self, trial_id: str) -> bool:
        return trial_id in self.states

    def find_run(self, record: Record) -> ExportedState | None:
        """Return the run of the record's trial, None if there is none.

        A run of an earlier record of the trial, which was deleted since, is deleted too.
        """
        state = self.states.get(record.trial_id)
        if state and state.is_of_deleted_record(record):
            logger.info("run %s shows a record that was deleted: it is deleted", state.run_id)
            self._delete(record.trial_id)
            return None
        return state

    def create(self, record: Record, trial: GridTrial, tags: Mapping[str, str]) -> ExportedState:
        """Create the run of a trial that has none."""
        run = self.client.create_run(
            self.experiment_id,
            start_time=start_ms(record),
            tags={TRIAL_ID: record.trial_id, **tags},
            run_name=trial.name,
        )
        self.states[record.trial_id] = ExportedState(
            run.info.run_id, run.info.start_time, dict(tags)
        )
        return self.states[record.trial_id]

    def _fetch(self, sweep: str) -> None:
        """Read all runs of the sweep from MLflow."""
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                f"tags.\"sweep.name\" = '{sweep}'",
                max_results=5000,
                page_token=token,
            )
            for run in page:
                self._add_found(
                    ExportedState(run.info.run_id, run.info.start_time, dict(run.data.tags))
                )
            token = page.token
            if not token:
                return

    def _add_found(self, found: ExportedState) -> None:
        """Add a run that MLflow has; delete the emptier one of two runs of a trial.

        A trial has two runs when the answer to `create_run` was lost and the call was repeated.
        """
        trial_id = found.tags.get(TRIAL_ID, "")
        other = self.states.get(trial_id)
        if other and DIGEST in found.tags:
            self._delete(trial_id)
        elif other:
            self.client.delete_run(found.run_id)
            return
        self.states[trial_id] = found

    def _delete(self, trial_id: str) -> None:
        """Move the trial's run to MLflow's bin, from which a person can restore the run."""
        self.client.delete_run(self.states.pop(trial_id).run_id)


def start_ms(record: Record) -> int | None:
    """Return when the first attempt began, in milliseconds since 1970; None before."""
    return _to_milliseconds(record.attempts[0].started) if record.attempts else None


def end_ms(record: Record) -> int | None:
    """Return when the last attempt ended, or else the last epoch, in milliseconds since 1970."""
    last = record.last_attempt
    if last and last.ended:
        return _to_milliseconds(last.ended)
    return record.epochs[-1].timestamp_ms if record.epochs else None


def _to_milliseconds(time: str) -> int:
    """Return an ISO 8601 time in milliseconds since 1970."""
    return int(datetime.fromisoformat(time).timestamp() * 1000)
