"""The results of a sweep's trials by cell, which the notes of runs compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, stdev

from sweep.grid.expand import GridTrial
from sweep.planning.cost import Cell, cell_of
from sweep.records.record import Record
from trainables.spec import Outcome


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial: outcome, test error and error.

    Attributes:
        outcome: None while the trial is in training.
        test_error: that of the last epoch in percent; of a diverged trial, that of guessing.
        error: type and text of the error that ended the trial.
    """

    outcome: Outcome | None = None
    test_error: float | None = None
    error: str | None = None

    @staticmethod
    def of(record: Record) -> TrialResult:
        """Return the result that a record holds."""
        if record.error:
            return TrialResult(record.outcome, None, f"{record.error.type}: {record.error.message}")
        if record.outcome is Outcome.DIVERGED:
            return TrialResult(record.outcome, record.chance_error)
        if record.outcome is Outcome.COMPLETED and record.epochs:
            return TrialResult(record.outcome, record.last_test_error)
        return TrialResult(record.outcome)


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a cell's `num` test errors, in percent.

    One result alone has no standard deviation.
    """

    mean: float
    sd: float | None
    num: int


class CellResults:
    """The results of a grid's trials that were set with `set_result`, by cell."""

    def __init__(self, trials: Iterable[GridTrial]) -> None:
        self._trials: dict[Cell, list[GridTrial]] = {}
        self._results: dict[str, TrialResult] = {}
        self._num_ended: Counter[Cell] = Counter()
        for trial in trials:
            self._trials.setdefault(cell_of(trial), []).append(trial)

    def set_result(self, trial: GridTrial, record: Record) -> bool:
        """Set a trial's result from its record; return whether the result has changed."""
        before, now = self.result(trial), TrialResult.of(record)
        self._results[trial.trial_id] = now
        self._num_ended[cell_of(trial)] += bool(now.outcome) - bool(before.outcome)
        return before != now

    def cells_with_results(self) -> list[Cell]:
        """Return the cells of which a trial has a result."""
        return list(self._num_ended)

    def trials(self, cell: Cell) -> list[GridTrial]:
        """Return the trials of a cell, one per seed."""
        return self._trials[cell]

    def result(self, trial: GridTrial) -> TrialResult:
        """Return the result of a trial, one without an outcome if `set_result` has set none."""
        return self._results.get(trial.trial_id, TrialResult())

    def spread(self, cell: Cell) -> Spread | None:
        """Return mean and standard deviation of a cell's errors; None if no trial has a result."""
        results = [self.result(trial) for trial in self._trials[cell]]
        errors = [result.test_error for result in results if result.test_error is not None]
        if not errors:
            return None
        return Spread(mean(errors), stdev(errors) if len(errors) > 1 else None, len(errors))

    def is_finished(self, cell: Cell) -> bool:
        """Whether every trial of the cell has an outcome."""
        return self._num_ended[cell] == len(self._trials[cell])
