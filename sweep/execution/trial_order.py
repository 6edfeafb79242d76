"""Which trial comes next where several workers train short ones."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from sweep.resources.ray_compat import trials_with_starting_worker


class OrderedScheduler(FIFOScheduler):
    """The trials in their order, each by the worker that is being started for it.

    Tune's own scheduler gives the first trial that waits to any worker that is free, and ends the
    one on its way to that trial, however far it has come. Where trials are done sooner than
    a worker has started, the second never starts, and one slot of several trains them all.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The first trial that waits and has no worker on its way."""
        expected = trials_with_starting_worker(tune_controller)
        trials: list[Trial] = tune_controller.get_trials()
        waiting = (t for t in trials if t.status == Trial.PENDING and t not in expected)
        return next(waiting, None)
