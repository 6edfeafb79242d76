"""Keeps the notes of a sweep's experiment and runs up to date, at a few calls per trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.planning.cost import Cell, cell_of
from sweep.records.record import Record
from sweep.tracking.cells import CellResults, Spread
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.notes import NOTE, format_experiment_note, format_run_note, replace_section
from sweep.tracking.runs import Runs
from sweep.tracking.store import ignore_unsupported

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SECTION = "sweep"


class NoteWriter:
    """Writes the notes of one sweep.

    A run has its note from the beginning. The note is written again when all seeds of its cell have
    their outcomes, and by `write_all` when nobody trains any more: so notes cost a few calls per
    run, however many trials there are.
    """

    def __init__(self, client: MlflowClient, grid: Grid, link: ExperimentLink, runs: Runs) -> None:
        self.client, self.grid, self.link, self.runs = client, grid, link, runs
        self.cells = CellResults(grid.trials)

    def write_experiment_note(self) -> None:
        """Write the experiment's note, unless the experiment has this note already."""
        section = format_experiment_note(self.grid, self.link)
        current = self.client.get_experiment(self.link.experiment_id).tags.get(NOTE, "")
        note = replace_section(current, f"{SECTION} {self.grid.name}", section)
        if note != current:
            with ignore_unsupported():
                self.client.set_experiment_tag(self.link.experiment_id, NOTE, note)

    def first_note(self, trial: GridTrial) -> str:
        """Return the note of a run that is created."""
        return replace_section("", SECTION, self._run_section(trial, None))

    def set_result(self, trial: GridTrial, record: Record) -> None:
        """Set the result of an exported record; if its cell is finished, write the cell's notes."""
        if self.cells.set_result(trial, record) and self.cells.is_finished(cell_of(trial)):
            self._write_notes(cell_of(trial))

    def write_all(self) -> None:
        """Update the notes of all cells that have a result, also of unfinished cells."""
        for cell in self.cells.cells_with_results():
            self._write_notes(cell)

    def _write_notes(self, cell: Cell) -> None:
        """Write the notes of a cell's runs, where they change."""
        spread = self.cells.spread(cell)
        for trial in self.cells.trials(cell):
            state = self.runs.states.get(trial.trial_id)
            section = self._run_section(trial, spread)
            if state is None or section in state.tags.get(NOTE, ""):
                continue
            # Read anew: a person may have written into the note.
            current = self.client.get_run(state.run_id).data.tags.get(NOTE, "")
            state.tags[NOTE] = replace_section(current, SECTION, section)
            if state.tags[NOTE] != current:
                with ignore_unsupported():
                    self.client.set_tag(state.run_id, NOTE, state.tags[NOTE])

    def _run_section(self, trial: GridTrial, spread: Spread | None) -> str:
        """Return the note of a trial's run."""
        return format_run_note(self.grid, self.link, self.runs, self.cells, trial, spread)
