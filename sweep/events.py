"""What a sweep reports while it runs: events, which observers such as the live view receive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from sweep.messages import Level, Message
from trainables.spec import Outcome

if TYPE_CHECKING:
    from sweep.execution.state import SweepState
    from sweep.execution.trial_state import TrialState
    from sweep.grid.expand import GridTrial
    from sweep.planning.resumption import Resumption
    from sweep.records.look_history import LookHistory


class Stage(StrEnum):
    """A part of a command that takes seconds or more and trains nothing."""

    CHECK_CELLS = "check cells"
    CHECK_DATA = "check data"
    TIME_CELL = "time cell"
    START_RAY = "start Ray"
    CHECK_NODES = "check nodes"
    MEASURE_GPU = "measure GPU"
    TAKE_LOOK = "take look"
    FINISH_EXPORT = "finish export"


@dataclass(frozen=True)
class StageStarted:
    """A stage begins; `description` names it for a person (`checking 12 cells`)."""

    stage: Stage
    description: str


@dataclass(frozen=True)
class StageEnded:
    """A stage has ended, with or without an error."""

    stage: Stage


@dataclass(frozen=True)
class CellsSkipped:
    """Cells of one norm cannot be trained and are left out; `text` has the reason."""

    text: str


@dataclass(frozen=True)
class TrialsCounted:
    """Before training: how many trials the run resumes, restarts and begins."""

    resumption: Resumption


@dataclass(frozen=True)
class TrainingStarted:
    """Workers begin to train; `state` is the sweep's state, which changes until training ends."""

    state: SweepState


@dataclass(frozen=True)
class EpochEnded:
    """A trial's record has been written to the end of an epoch.

    Attributes:
        trial: the trial.
        epoch: how many of its epochs are done.
        test_error: the test error after this epoch, in percent.
    """

    trial: GridTrial
    epoch: int
    test_error: float | None


@dataclass(frozen=True)
class TrialEnded:
    """A trial has an outcome.

    Attributes:
        trial: the trial.
        outcome: its outcome.
        test_error: the test error after its last epoch, in percent; None before its first.
        error: the traceback of a trial that ended in an error, else None.
        num_ended: how many trials of the grid have an outcome, this one among them.
        num_trials: how many trials the grid has.
        left_s: the expected seconds to the end of the sweep; None while they are unknown.
    """

    trial: GridTrial
    outcome: Outcome
    test_error: float | None
    error: str | None
    num_ended: int
    num_trials: int
    left_s: float | None


@dataclass(frozen=True)
class LookTaken:
    """The contrasts of a sweep were looked at; `history` has what is decided and what is open."""

    history: LookHistory


@dataclass(frozen=True)
class Noticed:
    """An incident while trials train that the user should know of, such as a lost worker."""

    text: str


@dataclass(frozen=True)
class TrainingEnded:
    """No worker trains any more."""

    state: SweepState


Event: TypeAlias = (
    StageStarted
    | StageEnded
    | Message
    | CellsSkipped
    | TrialsCounted
    | TrainingStarted
    | EpochEnded
    | TrialEnded
    | LookTaken
    | Noticed
    | TrainingEnded
)
OnEvent: TypeAlias = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """Do nothing: the observer of a caller that wants no events."""


@contextmanager
def report_stage(on_event: OnEvent, stage: Stage, description: str) -> Iterator[None]:
    """Report the stage's start, and its end when the block ends."""
    on_event(StageStarted(stage, description))
    try:
        yield
    finally:
        on_event(StageEnded(stage))


@contextmanager
def report_training(on_event: OnEvent, state: SweepState) -> Iterator[None]:
    """Send the events of training: its start, each epoch and outcome within the block, and its end.

    An error that the observer raises stops the sweep in order, and is raised when the block ends:
    Tune would take the error for one of its own.
    """
    errors: list[Exception] = []

    def send(event: Event) -> None:
        """Send an event to the observer; an error of the observer stops the sweep and is kept."""
        try:
            on_event(event)
        except Exception as error:
            errors.append(error)
            state.failure = state.failure or f"on_event raised {type(error).__name__}: {error}"

    state.on_epoch = lambda trial: send(EpochEnded(trial.trial, trial.epochs, trial.test_error))
    state.on_end = lambda trial: send(make_trial_ended(state, trial))
    state.on_notice = lambda line: send(Noticed(line))
    on_event(TrainingStarted(state))
    yield
    if errors:
        raise errors[0]
    on_event(TrainingEnded(state))


def make_trial_ended(state: SweepState, trial: TrialState) -> TrialEnded:
    """Return the event of a trial that has just got its outcome."""
    return TrialEnded(
        trial=trial.trial,
        outcome=trial.outcome or Outcome.FAILED,
        test_error=trial.test_error,
        error=trial.error,
        num_ended=state.num(),
        num_trials=len(state.states),
        left_s=state.remaining_s(),
    )


def send_message(on_event: OnEvent, level: Level, text: str) -> None:
    """Send the observer a message of this level."""
    on_event(Message(level, text))
