"""The state of a running sweep, which the live view and the plain lines show."""

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
from sweep.grid.variant import Variant
from sweep.planning.makespan import makespan
from sweep.planning.trial_states import TrialStates
from trainables.spec import Outcome

logger = logging.getLogger(__name__)


def format_tracking_error(error: str) -> str:
    """Return the line that is shown while MLflow cannot be reached."""
    return f"MLflow cannot be reached, training goes on: {error}"


def stopped_line(cell: str, error: str) -> str:
    """Return the line that is shown when a cell is stopped."""
    return (
        f"{cell} is stopped, because several trials ended in the same error; trials of other "
        f"cells go on: {error_line(error) or 'no message'}"
    )


@dataclass
class SweepState:
    """The driver's state of a sweep and of each of its trials.

    Attributes:
        plan: the trials and their records when the run began.
        slots: how many trials run at once.
        on_end: called with the state of each trial that ends.
        on_epoch: called with the state of each trial that has a new epoch.
        on_notice: called with each line for the user.
        notices: the lines so far.
        interrupted: whether the user has asked the sweep to stop.
        failure: why the sweep cannot continue, None while it can.
        tracking_error: why MLflow is out of reach at present, None while it is reached.
        num_lost_workers: how many workers were lost.
        ray_logs: where Ray's logs are: a folder, or a phrase.
        states: the state of each trial by its id.
        costs: how long an epoch takes, updated by each epoch.
        out_of_memory: ids of trials that wait for a larger share of the device.
        repeated: the errors in which several trials have ended.
    """

    plan: TrialStates
    slots: int = 1
    on_end: Callable[[TrialState], None] = lambda state: None
    on_epoch: Callable[[TrialState], None] = lambda state: None
    on_notice: Callable[[str], None] = lambda line: None
    notices: list[str] = field(default_factory=list)
    interrupted: bool = False
    failure: str | None = None
    tracking_error: str | None = None
    num_lost_workers: int = 0
    ray_logs: str = "Ray's logs"

    def __post_init__(self) -> None:
        self.states: dict[str, TrialState] = {}
        self.costs = deepcopy(self.plan.costs)
        self.out_of_memory: set[str] = set()
        self.order = [trial.trial_id for trial in self.plan.missing()]
        for trial in self.plan.grid.trials:
            record = self.plan.records.get(trial.trial_id)
            last = record.last_test_error if record else None
            outcome, epochs = self.plan.outcome(trial), self.plan.epochs_done(trial)
            self.states[trial.trial_id] = TrialState(trial, outcome, epochs, last)
        self.repeated = RepeatedErrors(self.states)

    def start(self, trial_id: str) -> None:
        """Mark the trial as running; while the sweep stops, do nothing."""
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
        """Record the epochs and the outcome of a trial that a worker has committed.

        Args:
            trial_id: the trial.
            epochs: how many epochs are recorded.
            test_error: of the last epoch, in percent.
            epoch_s: seconds that the last epoch took.
            outcome: the trial's outcome, None while it trains.
            error: the traceback of a trial that failed.
            place: host and device that train the trial.
        """
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
                for cell in self.repeated.count_error(state, error):
                    self.notice(stopped_line(cell, error))

    def interrupt(self) -> None:
        """Ask the sweep to stop; called from a signal's handler."""
        self.interrupted = True

    def suspend(self, trial_id: str, *, out_of_memory: bool = False) -> None:
        """Record that the trial has stopped without an outcome.

        With `out_of_memory` the trial waits for a round with a larger share of the device.
        """
        self.states[trial_id].is_running = False
        if out_of_memory:
            self.out_of_memory.add(trial_id)

    def notice(self, line: str) -> None:
        """Add a line for the user, unless the same line was added before."""
        if line not in self.notices:
            logger.warning("%s", line)
            self.notices.append(line)
            self.on_notice(line)

    def set_tracking_error(self, error: str | None) -> None:
        """Set why MLflow cannot be reached; None if it can be reached."""
        line = format_tracking_error(error) if error else "MLflow is reached again"
        logger.warning("%s", line)
        self.tracking_error = error
        self.on_notice(line)

    def mark_lost(self, trial_id: str, why: str) -> None:
        """Record that Tune has given the trial up after its worker was lost, and why."""
        state = self.states[trial_id]
        state.is_running = False
        self.notice(f"{state.trial.name} was given up: {why}")

    @property
    def is_stopping(self) -> bool:
        """Whether the sweep is to end before all its trials have."""
        return self.interrupted or bool(self.failure) or self.repeated.ended_by is not None

    @property
    def ended_trial_ids(self) -> frozenset[str]:
        """Ids of the trials that have an outcome, from this command or an earlier one."""
        return frozenset(key for key, state in self.states.items() if state.outcome is not None)

    @property
    def running(self) -> list[TrialState]:
        """Trials in training, the one that started first at the beginning."""
        return sorted((s for s in self.states.values() if s.is_running), key=lambda s: s.since)

    def num(self, *outcomes: Outcome) -> int:
        """Return how many trials have one of these outcomes, or any if none is given."""
        wanted = outcomes or tuple(Outcome)
        return sum(state.outcome in wanted for state in self.states.values())

    def remaining_s(self) -> float | None:
        """Return the expected seconds to the end of the sweep, None before any epoch was timed."""
        costs = self.costs
        if not costs.is_measured:
            return None
        states = (self.states[trial_id] for trial_id in self.order)
        left = (costs.remaining_s(s.trial, s.epochs) for s in states if s.outcome is None)
        return makespan(left, max(1, self.slots))

    def mean_errors(self) -> dict[tuple[str, Variant], dict[int, float]]:
        """Return mean test errors of completed trials (%), by (norm, variant) and batch size."""
        found: dict[tuple[str, Variant], dict[int, list[float]]] = {}
        for state in self.states.values():
            row = found.setdefault((state.trial.norm, state.trial.variant), {})
            values = row.setdefault(state.trial.spec.batch_size, [])
            if state.outcome is Outcome.COMPLETED and state.test_error is not None:
                values.append(state.test_error)
        return {
            row: {size: mean(values) for size, values in sizes.items() if values}
            for row, sizes in found.items()
        }
