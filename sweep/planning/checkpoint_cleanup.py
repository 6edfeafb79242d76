"""What a finished trial leaves behind and nobody needs any more."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

from sweep.planning.plan import Plan
from sweep.records.lease import hold_lease
from trainables.spec import Outcome

FINAL = (Outcome.COMPLETED, Outcome.DIVERGED)
"""Outcomes that no command changes, so that nothing goes on from a checkpoint."""


class CleanupResult(NamedTuple):
    """How many trials have it, and how much it is."""

    num_trials: int
    num_bytes: int


def delete_unneeded_checkpoints(plan: Plan, *, delete: bool) -> CleanupResult:
    """Find the checkpoints of the grid's finished trials, and delete them where that is wanted.

    Raises `RefusedError` where a running sweep would lose them.
    """
    num_trials = num_bytes = 0
    with hold_lease(plan.folder) if delete else nullcontext():
        for trial in plan.grid.trials:
            if plan.outcome(trial) not in FINAL:
                continue
            folder = plan.folder.trial(trial.trial_id)
            names = folder.disposable()
            num_trials += bool(names)
            for name in names:
                num_bytes += folder.storage.size(name)
                if delete:
                    folder.storage.delete(name)
    return CleanupResult(num_trials, num_bytes)
