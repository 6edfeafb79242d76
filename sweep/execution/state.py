"""What is known of a sweep while it runs: the state behind the live view and the plain lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from statistics import mean

from sweep.execution.error_line import error_line
from sweep.execution.repeated_errors import RepeatedErrors
from sweep.execution.trial_state import TrialState
from sweep.planning.makespan import makespan
from sweep.planning.trial_states import TrialStates
from trainables.spec import Outcome

logger = logging.getLogger(__name__)


def format_tracking_error(error: str) -> str:
    """What is said while MLflow is out of reach."""
    return f"MLflow cannot be reached, training goes on: {error}"


def stopped_line(cell: str, error: str) -> str:
    """What is said when a cell is stopped."""
    return (
        f"{cell} is stopped, because several trials ended in the same error; trials of other "
        f"cells go on: {error_line(error) or 'no message'}"
    )


@dataclass
class SweepState:
    """States of all trials of a plan; `on_end` is told of each trial that ends, `on_epoch` of each
    epoch, and `costs` learns from the epochs.

    `interrupted` asks the sweep to stop, `broken` says what keeps it from going on, `unreached`
    why MLflow is out of reach at present; `num_lost` counts workers that were lost, of which Ray's
    `logs` (a folder, or in words) may say more.
    """

    plan: TrialStates
    slots: int = 1
    on_end: Callable[[TrialState], None] = lambda state: None
    on_epoch: Callable[[TrialState], None] = lambda state: None
    on_notice: Callable[[str], None] = lambda line: None
    notices: list[str] = field(default_factory=list)
    interrupted: bool = False
    broken: str | None = None
    unreached: str | None = None
    num_lost: int = 0
    logs: str = "Ray's logs"

    def __post_init__(self) -> None:
        self.states: dict[str, TrialState] = {}
        self.costs = deepcopy(self.plan.costs)
        self.out_of_memory: set[str] = set()
        self.order = [trial.trial_id for trial in self.plan.missing()]
        for trial in self.plan.grid.trials:
            record = self.plan.records.get(trial.trial_id)
            last = record.epochs[-1]["test_error"] if record and record.epochs else None
            outcome, epochs = self.plan.outcome(trial), self.plan.epochs_done(trial)
            self.states[trial.trial_id] = TrialState(trial, outcome, epochs, last)
        self.repeated = RepeatedErrors(self.states)

    def start(self, trial_id: str) -> None:
        """A worker has taken the trial. While the sweep stops, it only hands it back."""
        if not self.is_stopping:
            state = self.states[trial_id]
            state.is_running, state.since = True, time.monotonic()

    def report(
        self,
        trial_id: str,
        epochs: int,
        test_error: float | None,
        epoch_s: float,
        outcome: Outcome | None,
        error: str | None,
        place: str | None = None,
    ) -> None:
        """A worker has committed an epoch or an outcome."""
        state = self.states[trial_id]
        state.place = place or state.place
        if epochs > state.epochs:
            self.costs.observe(state.trial, epoch_s)
        has_new_epoch = epochs > state.epochs
        state.epochs, state.test_error, state.outcome = epochs, test_error, outcome
        if has_new_epoch:
            self.on_epoch(state)
        if outcome is not None:
            logger.info(
                "%s ends after epoch %d: %s, test error %s",
                state.trial.name,
                epochs,
                outcome,
                test_error,
            )
            state.is_running, state.error = False, error
            self.on_end(state)
            if error:
                for cell in self.repeated.note(state, error):
                    self.notice(stopped_line(cell, error))

    def interrupt(self) -> None:
        """Ask the sweep to stop; called from a signal's handler."""
        self.interrupted = True

    def suspend(self, trial_id: str, *, out_of_memory: bool = False) -> None:
        """The trial has stopped without an outcome; `out_of_memory`: to be given more of it."""
        self.states[trial_id].is_running = False
        if out_of_memory:
            self.out_of_memory.add(trial_id)

    def notice(self, line: str) -> None:
        """Tell the person, once."""
        if line not in self.notices:
            logger.warning("%s", line)
            self.notices.append(line)
            self.on_notice(line)

    def set_tracking_error(self, error: str | None) -> None:
        """MLflow has gone out of reach, for this reason; or, with None, it is back."""
        line = format_tracking_error(error) if error else "MLflow is reached again"
        logger.warning("%s", line)
        self.unreached = error
        self.on_notice(line)

    def lose(self, trial_id: str, why: str) -> None:
        """The trial's worker is gone, and Tune has given the trial up."""
        state = self.states[trial_id]
        state.is_running = False
        self.notice(f"{state.trial.name} was given up: {why}")

    @property
    def is_stopping(self) -> bool:
        """Whether the sweep is to end before all its trials have."""
        return self.interrupted or bool(self.broken) or self.repeated.ended_by is not None

    @property
    def ended(self) -> frozenset[str]:
        """Ids of the trials that have an outcome, of this command or of one before."""
        return frozenset(key for key, state in self.states.items() if state.outcome is not None)

    @property
    def running(self) -> list[TrialState]:
        """Trials in training, the longest in it first."""
        return sorted((s for s in self.states.values() if s.is_running), key=lambda s: s.since)

    def num(self, *outcomes: Outcome) -> int:
        """How many trials have one of these outcomes (any, if none is named)."""
        wanted = outcomes or tuple(Outcome)
        return sum(state.outcome in wanted for state in self.states.values())

    def left_s(self) -> float | None:
        """Expected seconds to the end of the sweep, None before anything is known."""
        costs = self.costs
        if not costs.is_measured:
            return None
        states = (self.states[trial_id] for trial_id in self.order)
        left = (costs.remaining_s(s.trial, s.epochs) for s in states if s.outcome is None)
        return makespan(left, max(1, self.slots))

    def mean_errors(self) -> dict[tuple[str, str], dict[int, float]]:
        """Mean test error of the completed trials by (norm, variant) and batch size, percent."""
        found: dict[tuple[str, str], dict[int, list[float]]] = {}
        for state in self.states.values():
            row = found.setdefault((state.trial.norm, state.trial.variant), {})
            values = row.setdefault(state.trial.spec.batch_size, [])
            if state.outcome is Outcome.COMPLETED and state.test_error is not None:
                values.append(state.test_error)
        return {
            row: {size: mean(values) for size, values in sizes.items() if values}
            for row, sizes in found.items()
        }
