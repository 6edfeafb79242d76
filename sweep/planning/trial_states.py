"""The trials of a grid with the records in its storage: what has an outcome, what is missing."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sweep.errors import RefusedError
from sweep.grid.expand import GridTrial
from sweep.grid.left_out import left_out_as_json
from sweep.grid.model import Grid
from sweep.planning.calibration import CellTime, load_times
from sweep.planning.cost import Cell, CostModel
from sweep.planning.needed_trials import keep_needed_trials
from sweep.records.look_history import LookHistory, load_looks
from sweep.records.record import Record, RecordDamagedError, SweepFolder
from sweep.records.storage import Storage
from trainables.spec import Outcome


@dataclass(frozen=True)
class TrialStates:
    """The trials of a grid with their records, read once; no trial has to be feasible.

    Attributes:
        grid: the grid whose trials these are.
        folder: where the grid's records are.
        records: the record of each trial that has one, by trial id.
        retry: outcomes that count as missing, because their trials are to be trained again.
        costs: how long an epoch takes, learnt from the records or from timed steps.
        damaged: why a record cannot be read, by trial id.
        times: what `plan --calibrate` has timed, by cell.
        looks: the looks so far, where seeds are trained until contrasts are decided: `grid` has the
            trials that are needed by them.
        untried: ids of trials that were to be trained again and were not: their outcome is that
            of an earlier command, and they count as missing.
    """

    grid: Grid
    folder: SweepFolder
    records: Mapping[str, Record]
    retry: frozenset[Outcome] = frozenset()
    costs: CostModel = field(default_factory=CostModel)
    damaged: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[Cell, CellTime] = field(default_factory=dict)
    untried: frozenset[str] = frozenset()
    looks: LookHistory | None = None

    def outcome(self, trial: GridTrial) -> Outcome | None:
        """Return the trial's outcome, or None if it has none or is to be trained again."""
        record = self.records.get(trial.trial_id)
        outcome = record.outcome if record else None
        counts_as_missing = outcome in self.retry or trial.trial_id in self.untried
        return None if counts_as_missing else outcome

    def epochs_done(self, trial: GridTrial) -> int:
        """Return the number of epochs in the trial's record."""
        record = self.records.get(trial.trial_id)
        return len(record.epochs) if record else 0

    def num(self, *outcomes: Outcome) -> int:
        """Return how many of the grid's trials have one of these outcomes."""
        return sum(self.outcome(trial) in outcomes for trial in self.grid.trials)

    def missing(self) -> list[GridTrial]:
        """Return the trials without an outcome: seed by seed, the longest first within a seed."""
        missing = [trial for trial in self.grid.trials if self.outcome(trial) is None]
        rank = {seed: i for i, seed in enumerate(dict.fromkeys(t.spec.seed for t in missing))}
        return sorted(missing, key=lambda t: (rank[t.spec.seed], -self.remaining_s(t)))

    def remaining_s(self, trial: GridTrial) -> float:
        """Return the expected seconds until the trial ends."""
        return self.costs.remaining_s(trial, self.epochs_done(trial))


def sweep_folder(grid: Grid) -> SweepFolder:
    """Return the folder of the grid's records."""
    return SweepFolder(Storage.at(grid.storage).below(grid.name))


def read_trial_states(
    grid: Grid, retry: Iterable[Outcome] = (), *, with_damaged: bool = False
) -> TrialStates:
    """Read the records of the grid's trials from its storage; writes nothing.

    Args:
        grid: the grid, as it was parsed or as it was found feasible.
        retry: outcomes whose trials are to be trained again.
        with_damaged: whether records that cannot be read are reported in `damaged`.

    Raises:
        RecordDamagedError: for records that cannot be read, unless `with_damaged`.
    """
    folder = sweep_folder(grid)
    looks = load_looks(folder) if grid.seed_looks else None
    grid = keep_needed_trials(grid, looks)
    records, damaged = folder.load_readable([trial.trial_id for trial in grid.trials])
    if damaged and not with_damaged:
        raise RecordDamagedError("\n".join(damaged.values()))
    times = load_times(folder, grid.trials)
    costs = CostModel({key: time.epoch_s for key, time in times.items()})
    for trial in grid.trials:
        for epoch in records[trial.trial_id].epochs if trial.trial_id in records else []:
            costs.observe(trial, epoch.seconds)
    return TrialStates(grid, folder, records, frozenset(retry), costs, damaged, times, looks=looks)


RETRYABLE_OUTCOMES = (Outcome.FAILED, Outcome.OUT_OF_MEMORY)
"""Outcomes whose trials can be trained again."""


def parse_outcomes(names: Iterable[str], option: str = "retry") -> list[Outcome]:
    """Return the outcomes of these names, whose trials are to be trained again.

    Args:
        names: `failed` or `out_of_memory`.
        option: what the message calls the names.

    Raises:
        RefusedError: for any other name.
    """
    for name in names:
        if name not in RETRYABLE_OUTCOMES:
            raise RefusedError(
                f"{option}: expected {' or '.join(RETRYABLE_OUTCOMES)}, found {str(name)!r}"
            )
    return [Outcome(name) for name in names]


def read_states_after(before: TrialStates, ended: Container[str] = ()) -> TrialStates:
    """Return the trials' states after a run, read from the records.

    A trial that was to be trained again counts as missing if its record is unchanged and its id is
    not in `ended`: this run has not trained it.
    """
    after = read_trial_states(before.grid)
    untried = (
        trial.trial_id
        for trial in before.missing()
        if trial.trial_id not in ended
        and trial.trial_id in before.records
        and before.records[trial.trial_id].outcome is not None
        and before.records[trial.trial_id] == after.records.get(trial.trial_id)
    )
    return replace(after, untried=frozenset(untried))


def _preset_as_json(grid: Grid) -> dict[str, Any]:
    """Return what a preset replaced, in words and as data; nothing for the full grid."""
    if grid.preset is None:
        return {}
    return {"edition": str(grid.preset), "preset": grid.preset.to_dict()}


def save_expected(states: TrialStates) -> None:
    """Write the grid's trials, their names and its reference to `sweep.json`, for the analysis."""
    grid = states.grid
    trials = [
        {
            "trial_id": trial.trial_id,
            "norm": trial.norm,
            "batch_size": trial.spec.batch_size,
            "seed": trial.spec.seed,
            "variant": str(trial.variant),
        }
        for trial in grid.trials
    ]
    states.folder.save_expected(
        {
            "name": grid.name,
            "experiment": grid.experiment,
            "reference": grid.reference,
            **_preset_as_json(grid),
            "trials": trials,
            "left_out": left_out_as_json(grid.left_out),
            "grid": grid.file_identity,
        }
    )
