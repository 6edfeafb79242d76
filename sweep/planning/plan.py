"""What a run trains: the missing trials of a feasible grid, in their order, with their cost."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.planning.cost import cell_of
from sweep.planning.feasibility import FeasibleGrid
from sweep.planning.looks import require_same_rule
from sweep.planning.needed_trials import keep_needed_trials
from sweep.planning.trial_states import TrialStates, read_trial_states


@dataclass(frozen=True)
class Plan(TrialStates):
    """The trials of a feasible grid with their records; the missing ones can be trained.

    Attributes:
        grid: the feasible grid.
    """

    grid: FeasibleGrid

    def fusion_saving(self) -> float | None:
        """Return the share of the missing trials' time that training seeds side by side saves.

        None where the grid trains seeds one by one, or where no cell was timed beforehand.
        """
        missing = [trial for trial in self.missing() if cell_of(trial) in self.times]
        if not missing or self.grid.resources.seeds_per_trainable == 1:
            return None
        left = [t.spec.train.epochs - self.epochs_done(t) for t in missing]
        timed = [self.times[cell_of(trial)] for trial in missing]
        alone = sum(n * time.alone_s for n, time in zip(left, timed, strict=True))
        together = sum(n * time.epoch_s for n, time in zip(left, timed, strict=True))
        return 1 - together / alone


def make_plan(feasible: FeasibleGrid, states: TrialStates | None = None) -> Plan:
    """Return the plan of a feasible grid's missing trials.

    Args:
        feasible: the grid, whose cells have been tried.
        states: the records, where they were read before the cells were tried; read here if None.

    Raises:
        RecordDamagedError: for records that cannot be read.
        RefusedError: the grid has changed since its first look.
    """
    states = states or read_trial_states(feasible)
    require_same_rule(feasible, states.looks)
    return Plan(**{**vars(states), "grid": keep_needed_trials(feasible, states.looks)})
