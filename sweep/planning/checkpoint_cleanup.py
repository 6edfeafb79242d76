"""The checkpoints of finished trials, from which nothing is resumed any more."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

from sweep.planning.trial_states import TrialStates
from sweep.records.lease import hold_lease
from trainables.spec import Outcome

FINAL_OUTCOMES = (Outcome.COMPLETED, Outcome.DIVERGED)
"""Outcomes that no command changes, so that no trial is resumed from a checkpoint."""


class CleanupResult(NamedTuple):
    """How many trials have checkpoints that are not needed, and the size of these in bytes."""

    num_trials: int
    num_bytes: int


def delete_unneeded_checkpoints(states: TrialStates, *, delete: bool) -> CleanupResult:
    """Find the checkpoints of the grid's finished trials, and delete them if `delete`.

    Raises:
        RefusedError: where they would be deleted while the sweep runs.
    """
    num_trials = num_bytes = 0
    with hold_lease(states.folder) if delete else nullcontext():
        for trial in states.grid.trials:
            if states.outcome(trial) not in FINAL_OUTCOMES:
                continue
            folder = states.folder.trial(trial.trial_id)
            names = folder.list_disposable_files()
            num_trials += bool(names)
            for name in names:
                num_bytes += folder.storage.size(name)
                if delete:
                    folder.storage.delete(name)
    return CleanupResult(num_trials, num_bytes)
