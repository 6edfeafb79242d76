"""What the functions of the Python interface return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainables.spec import Outcome

if TYPE_CHECKING:
    from sweep.execution.repeated_errors import Stop
    from sweep.grid.expand import GridTrial
    from sweep.planning.plan import Plan
    from sweep.planning.trial_states import TrialStates
    from sweep.records.lease import Holder
    from sweep.tracking.export import ExportResult


@dataclass(frozen=True)
class TrialSummary:
    """Outcome, epochs and test error of one trial.

    Attributes:
        trial: the trial: its spec, norm, variant and id.
        outcome: its outcome; None while it has none.
        epochs_done: how many epochs its record has.
        test_error: the test error after the last of these, in percent; None before the first.
        error: the message of the error that ended it, else None.
    """

    trial: GridTrial
    outcome: Outcome | None
    epochs_done: int
    test_error: float | None
    error: str | None

    @property
    def name(self) -> str:
        """The trial's name, such as `groupnorm-bs008-s2`."""
        return self.trial.name


@dataclass(frozen=True)
class SweepPlan:
    """What a run would train.

    Attributes:
        plan: the feasible trials with their records, and what they cost.
        slots: how many trials would be trained at once on this machine.
        gpu_sharing: how trials share a GPU, in words; None where no GPU is shared.
    """

    plan: Plan
    slots: int
    gpu_sharing: str | None = None

    @property
    def missing(self) -> tuple[GridTrial, ...]:
        """The trials that a run would train, in their order."""
        return tuple(self.plan.missing())

    @property
    def expected_s(self) -> float | None:
        """The expected seconds of a run; None before an epoch or a step of it was timed."""
        from sweep.planning.makespan import makespan

        if not self.plan.costs.is_measured:
            return None
        return makespan(map(self.plan.remaining_s, self.missing), self.slots)


@dataclass(frozen=True)
class Rehearsal:
    """What a run would train on the nodes that Ray has.

    Attributes:
        plan: the feasible trials with their records, and what they cost.
        slots: how many trials would be trained at once.
    """

    plan: Plan
    slots: int


@dataclass(frozen=True)
class RunResult:
    """The result of a run: the trials before and after, and the export to MLflow.

    Attributes:
        before: the states of the trials before the run.
        states: the states of the trials after the run.
        export: what became of the export to MLflow: a link to the experiment, or an error.
        stops: errors that ended several trials, and have stopped cells or the sweep.
        is_interrupted: whether Ctrl-C or another signal has stopped the run.
    """

    before: TrialStates
    states: TrialStates
    export: ExportResult
    stops: tuple[Stop, ...] = ()
    is_interrupted: bool = False

    @property
    def trials(self) -> tuple[TrialSummary, ...]:
        """A summary of each trial after the run, in the grid's order."""
        return summarise_trials(self.states)

    @property
    def num_trained(self) -> int:
        """How many trials have got an outcome in this run."""
        return max(0, len(self.before.missing()) - len(self.states.missing()))

    @property
    def num_missing(self) -> int:
        """How many trials have no outcome yet; `run` again trains them."""
        return len(self.states.missing())

    @property
    def num_failed(self) -> int:
        """How many trials ended in an error, or without enough memory."""
        return self.states.num(Outcome.FAILED, Outcome.OUT_OF_MEMORY)

    @property
    def records(self) -> str:
        """Where the records are: what `analysis` reads."""
        return self.states.folder.storage.uri


@dataclass(frozen=True)
class SweepStatus:
    """The status of a sweep, read from its records.

    Attributes:
        states: the trials with their records.
        holder: the driver that runs the sweep, or ran it and died; None where there is none.
    """

    states: TrialStates
    holder: Holder | None

    @property
    def trials(self) -> tuple[TrialSummary, ...]:
        """A summary of each trial, in the grid's order."""
        return summarise_trials(self.states)

    @property
    def is_running(self) -> bool:
        """Whether a living driver runs the sweep."""
        return self.holder is not None and not self.holder.is_dead()

    @property
    def damaged(self) -> tuple[str, ...]:
        """Why records cannot be read, a line each."""
        return tuple(self.states.damaged.values())


@dataclass(frozen=True)
class SyncResult:
    """The result of bringing MLflow up to date with the records.

    Attributes:
        export: the link to the experiment, or the error if MLflow cannot be reached.
        num_records: how many records there are.
    """

    export: ExportResult
    num_records: int


@dataclass(frozen=True)
class Reproduction:
    """The result of training a trial again.

    Attributes:
        trial: the trial.
        is_same: whether every bit is the record's, or nothing could be compared.
        lines: what was found, a line per epoch.
    """

    trial: GridTrial
    is_same: bool
    lines: tuple[str, ...]


def summarise_trials(states: TrialStates) -> tuple[TrialSummary, ...]:
    """Return a summary of each trial of the grid, in the grid's order."""
    summaries = []
    for trial in states.grid.trials:
        record = states.records.get(trial.trial_id)
        epochs = record.epochs if record else []
        error = record.error.message if record and record.error else None
        last = epochs[-1].metrics.test_error if epochs else None
        outcome = states.outcome(trial)
        summaries.append(TrialSummary(trial, outcome, len(epochs), last, error))
    return tuple(summaries)
