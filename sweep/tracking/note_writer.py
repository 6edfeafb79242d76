"""Keeps the notes of a sweep's experiment and runs up to date, at a few calls per trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.planning.cost import Cell, cell_of
from sweep.records.record import Record
from sweep.tracking.cells import CellResults, Spread
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.notes import NOTE, experiment_note, merge_note, run_note
from sweep.tracking.runs import Runs
from sweep.tracking.store import ignore_unsupported

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SECTION = "sweep"


class NoteWriter:
    """The notes of one sweep.

    A run's note is there from the beginning. It is written again when all seeds of its cell have
    their outcomes, and with `complete` when nobody trains any more: so a note costs a few calls,
    however many trials there are.
    """

    def __init__(self, client: MlflowClient, grid: Grid, place: ExperimentLink, runs: Runs) -> None:
        self.client, self.grid, self.place, self.runs = client, grid, place, runs
        self.cells = CellResults(grid.trials)

    def begin(self) -> None:
        """Write the experiment's note, unless it is there."""
        section = experiment_note(self.grid, self.place)
        there = self.client.get_experiment(self.place.experiment_id).tags.get(NOTE, "")
        note = merge_note(there, f"{SECTION} {self.grid.name}", section)
        if note != there:
            with ignore_unsupported():
                self.client.set_experiment_tag(self.place.experiment_id, NOTE, note)

    def first_note(self, trial: GridTrial) -> str:
        """The note that a run begins with."""
        return merge_note("", SECTION, self._section(trial, None))

    def take(self, trial: GridTrial, record: Record) -> None:
        """Hear of a record whose run is up to date."""
        if self.cells.take(trial, record) and self.cells.is_finished(cell_of(trial)):
            self._write(cell_of(trial))

    def complete(self) -> None:
        """Bring the notes of all cells up to date, those of unfinished ones too."""
        for of in self.cells.taken():
            self._write(of)

    def _write(self, of: Cell) -> None:
        spread = self.cells.spread(of)
        for trial in self.cells.trials(of):
            shown = self.runs.shown.get(trial.trial_id)
            section = self._section(trial, spread)
            if shown is None or section in shown.tags.get(NOTE, ""):
                continue
            there = self.client.get_run(shown.run_id).data.tags.get(NOTE, "")  # a person's, by now
            shown.tags[NOTE] = merge_note(there, SECTION, section)
            if shown.tags[NOTE] != there:
                with ignore_unsupported():
                    self.client.set_tag(shown.run_id, NOTE, shown.tags[NOTE])

    def _section(self, trial: GridTrial, spread: Spread | None) -> str:
        return run_note(self.grid, self.place, self.runs, self.cells, trial, spread)
