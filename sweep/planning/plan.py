"""What a run would do: which trials are done, which are missing, in which order."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sweep.grid.expand import GridTrial
from sweep.grid.left_out import as_data
from sweep.grid.model import Grid
from sweep.planning import calibration
from sweep.planning.calibration import CellTime
from sweep.planning.cost import Cell, CostModel, cell_of
from sweep.records.record import Record, RecordDamagedError, SweepFolder
from sweep.records.storage import Storage
from trainables.spec import Outcome


@dataclass(frozen=True)
class Plan:
    """A grid held against its records. Trials whose outcome is in `retry` count as missing.

    So do those in `untried` (trial ids), whose outcome is that of an attempt before this command.
    `damaged` says of each trial whose record cannot be read why not.
    """

    grid: Grid
    folder: SweepFolder
    records: Mapping[str, Record]
    retry: frozenset[Outcome] = frozenset()
    costs: CostModel = field(default_factory=CostModel)
    damaged: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[Cell, CellTime] = field(default_factory=dict)
    untried: frozenset[str] = frozenset()

    def outcome(self, trial: GridTrial) -> Outcome | None:
        """The trial's outcome, or None if it has none or is to be tried again."""
        record = self.records.get(trial.trial_id)
        outcome = record.outcome if record else None
        is_to_come = outcome in self.retry or trial.trial_id in self.untried
        return None if is_to_come else outcome

    def epochs_done(self, trial: GridTrial) -> int:
        """Epochs that the trial's record holds."""
        record = self.records.get(trial.trial_id)
        return len(record.epochs) if record else 0

    def num(self, *outcomes: Outcome) -> int:
        """How many of the grid's trials have one of these outcomes."""
        return sum(self.outcome(trial) in outcomes for trial in self.grid.trials)

    def missing(self) -> list[GridTrial]:
        """Trials without an outcome: seed by seed, and the longest first within a seed."""
        missing = [trial for trial in self.grid.trials if self.outcome(trial) is None]
        rank = {seed: i for i, seed in enumerate(dict.fromkeys(t.spec.seed for t in missing))}
        return sorted(missing, key=lambda t: (rank[t.spec.seed], -self.remaining_s(t)))

    def saved(self) -> float | None:
        """What share of the missing trials' time it saves to train their seeds side by side.

        None where that is not wanted, or was not timed beforehand.
        """
        missing = [trial for trial in self.missing() if cell_of(trial) in self.times]
        if not missing or self.grid.resources.seeds_per_trainable == 1:
            return None
        left = [t.spec.train.epochs - self.epochs_done(t) for t in missing]
        timed = [self.times[cell_of(trial)] for trial in missing]
        alone = sum(n * time.alone_s for n, time in zip(left, timed, strict=True))
        together = sum(n * time.epoch_s for n, time in zip(left, timed, strict=True))
        return 1 - together / alone

    def remaining_s(self, trial: GridTrial) -> float:
        """Expected seconds that the trial still takes."""
        return self.costs.remaining_s(trial, self.epochs_done(trial))


def sweep_folder(grid: Grid) -> SweepFolder:
    """Where the grid's records are."""
    return SweepFolder(Storage.at(grid.storage).below(grid.name))


def make_plan(grid: Grid, retry: Iterable[Outcome] = (), *, with_damaged: bool = False) -> Plan:
    """Hold a grid against the records in its storage; reads only.

    Raises `RecordDamagedError` unless the plan is wanted `with_damaged` records.
    """
    folder = sweep_folder(grid)
    records, damaged = folder.load_readable([trial.trial_id for trial in grid.trials])
    if damaged and not with_damaged:
        raise RecordDamagedError("\n".join(damaged.values()))
    times = calibration.load(folder)
    costs = CostModel({key: time.epoch_s for key, time in times.items()})
    plan = Plan(grid, folder, records, frozenset(retry), costs, damaged, times)
    for trial in grid.trials:
        for epoch in records[trial.trial_id].epochs if trial.trial_id in records else []:
            plan.costs.observe(trial, (epoch["train_s"] or 0.0) + (epoch["eval_s"] or 0.0))
    return plan


def plan_after(before: Plan, ended: Container[str] = ()) -> Plan:
    """How the trials of a plan stand after they were to be trained.

    A trial that was to be tried again, whose record is what it was and that is not among those
    that have `ended` (trial ids), was not tried: it has no outcome of this command.
    """
    after = make_plan(before.grid)
    untried = (
        trial.trial_id
        for trial in before.missing()
        if trial.trial_id not in ended
        and trial.trial_id in before.records
        and before.records[trial.trial_id].outcome is not None
        and before.records[trial.trial_id] == after.records.get(trial.trial_id)
    )
    return replace(after, untried=frozenset(untried))


def save_expected(plan: Plan) -> None:
    """Write what the grid expects, and what it calls its trials, for the analysis."""
    grid = plan.grid
    trials = [
        {
            "trial_id": trial.trial_id,
            "norm": trial.norm,
            "batch_size": trial.spec.batch_size,
            "seed": trial.spec.seed,
            "variant": trial.variant,
        }
        for trial in grid.trials
    ]
    plan.folder.save_expected(
        {
            "name": grid.name,
            "experiment": grid.experiment,
            "reference": grid.reference,
            **({"edition": grid.edition} if grid.edition else {}),
            "trials": trials,
            "left_out": as_data(grid.left_out),
            "grid": grid.as_file,
        }
    )
