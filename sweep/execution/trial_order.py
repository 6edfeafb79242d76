"""The order in which Tune starts trials."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from sweep.resources.ray_compat import trials_with_starting_worker


class OrderedScheduler(FIFOScheduler):
    """A Tune scheduler that starts trials in the given order, each on the worker started for it.

    Tune's own scheduler gives the first pending trial to any free worker and ends the worker that
    is being started for this trial. Where trials take less time than the start of a worker, a
    second worker then never starts, and one slot of several trains all trials.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the first pending trial for which no worker is being started, or None."""
        expected = trials_with_starting_worker(tune_controller)
        trials: list[Trial] = tune_controller.get_trials()
        waiting = (t for t in trials if t.status == Trial.PENDING and t not in expected)
        return next(waiting, None)
