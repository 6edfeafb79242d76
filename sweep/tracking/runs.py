"""One MLflow run per trial: found, made, or put away."""

from __future__ import annotations

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


@dataclass
class ExportedState:
    """What a trial's run shows, as far as it is known: its tags, and epochs shipped from here."""

    run_id: str
    started_ms: int | None
    tags: dict[str, str]
    num_epochs: int = 0

    def of_another(self, record: Record) -> bool:
        """Whether the run shows an earlier record of the trial, one that was since deleted."""
        begun = start_ms(record)
        return begun is not None and self.started_ms is not None and begun != self.started_ms


class Runs:
    """The runs of one sweep in its experiment, by trial."""

    def __init__(self, client: MlflowClient, experiment_id: str, sweep: str) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self.shown: dict[str, ExportedState] = {}
        self._fetch(sweep)

    def __contains__(self, trial_id: str) -> bool:
        return trial_id in self.shown

    def of(self, record: Record) -> ExportedState | None:
        """The run that shows this record, if there is one."""
        shown = self.shown.get(record.trial_id)
        if shown and shown.of_another(record):
            self._delete(record.trial_id)
            return None
        return shown

    def create(self, record: Record, trial: GridTrial, tags: Mapping[str, str]) -> ExportedState:
        """Make the run of a trial that has none."""
        run = self.client.create_run(
            self.experiment_id,
            start_time=start_ms(record),
            tags={TRIAL_ID: record.trial_id, **tags},
            run_name=trial.name,
        )
        self.shown[record.trial_id] = ExportedState(
            run.info.run_id, run.info.start_time, dict(tags)
        )
        return self.shown[record.trial_id]

    def _fetch(self, sweep: str) -> None:
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                f"tags.\"sweep.name\" = '{sweep}'",
                max_results=5000,
                page_token=token,
            )
            for run in page:
                self._take(ExportedState(run.info.run_id, run.info.start_time, dict(run.data.tags)))
            token = page.token
            if not token:
                return

    def _take(self, found: ExportedState) -> None:
        """Note a run that is there.

        A trial has two when the answer to `create_run` was lost and the call repeated: one goes.
        """
        trial_id = found.tags.get(TRIAL_ID, "")
        there = self.shown.get(trial_id)
        if there and DIGEST in found.tags:
            self._delete(trial_id)
        elif there:
            self.client.delete_run(found.run_id)
            return
        self.shown[trial_id] = found

    def _delete(self, trial_id: str) -> None:
        """Move a run to MLflow's bin, from which a person can restore it."""
        self.client.delete_run(self.shown.pop(trial_id).run_id)


def start_ms(record: Record) -> int | None:
    """When the first attempt began, in milliseconds since 1970."""
    return _ms(record.attempts[0].started) if record.attempts else None


def end_ms(record: Record) -> int | None:
    """When the last attempt ended, or else the last epoch."""
    last = record.last_attempt
    if last and last.ended:
        return _ms(last.ended)
    return record.epochs[-1].timestamp_ms if record.epochs else None


def _ms(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)
