"""What has become of the trials, cell by cell: what a run's note holds its result against."""

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
class Result:
    """A trial's outcome and its last test error in percent; a diverged one's is that of chance."""

    outcome: Outcome | None = None
    test_error: float | None = None
    error: str | None = None

    @staticmethod
    def of(record: Record) -> Result:
        """The result that a record holds."""
        if record.error:
            return Result(record.outcome, None, f"{record.error.type}: {record.error.message}")
        if record.outcome is Outcome.DIVERGED:
            return Result(record.outcome, record.chance_error)
        if record.outcome is Outcome.COMPLETED and record.epochs:
            return Result(record.outcome, record.last_test_error)
        return Result(record.outcome)


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation (None of one alone) and number of a cell's results, in percent."""

    mean: float
    sd: float | None
    num: int


class CellResults:
    """The results of a grid's trials, as far as they are known here."""

    def __init__(self, trials: Iterable[GridTrial]) -> None:
        self._trials: dict[Cell, list[GridTrial]] = {}
        self._results: dict[str, Result] = {}
        self._num_ended: Counter[Cell] = Counter()
        for trial in trials:
            self._trials.setdefault(cell_of(trial), []).append(trial)

    def take(self, trial: GridTrial, record: Record) -> bool:
        """Note what a record says; whether it is another result than was known."""
        before, now = self.result(trial), Result.of(record)
        self._results[trial.trial_id] = now
        self._num_ended[cell_of(trial)] += bool(now.outcome) - bool(before.outcome)
        return before != now

    def taken(self) -> list[Cell]:
        """The cells of which a record has been taken."""
        return list(self._num_ended)

    def trials(self, of: Cell) -> list[GridTrial]:
        """The trials of a cell, one per seed."""
        return self._trials[of]

    def result(self, trial: GridTrial) -> Result:
        """What has become of a trial; nothing yet if that is not known."""
        return self._results.get(trial.trial_id, Result())

    def spread(self, of: Cell) -> Spread | None:
        """What a cell's results come to; None while it has none."""
        found = [self.result(trial).test_error for trial in self._trials[of]]
        errors = [error for error in found if error is not None]
        if not errors:
            return None
        return Spread(mean(errors), stdev(errors) if len(errors) > 1 else None, len(errors))

    def is_finished(self, of: Cell) -> bool:
        """Whether every trial of the cell has an outcome."""
        return self._num_ended[of] == len(self._trials[of])
