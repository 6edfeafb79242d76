"""Which trial comes next where several workers train short ones."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from sweep.process.environment import environment_variable

PENDING_VARIABLE = "TUNE_MAX_PENDING_TRIALS_PG"


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


def trials_with_starting_worker(tune_controller: Any) -> set[Trial]:
    """The trials whose worker has its resources, but has not said that it is ready.

    Tune tells a scheduler no more than which trials wait: read from its inside, as far as a later
    Ray has it.
    """
    try:
        controller = tune_controller._tune_controller
        manager = controller._actor_manager
        with_resources = manager._live_actors_to_ray_actors_resources
        return {
            trial
            for trial, actor in controller._trial_to_actor.items()
            if actor in with_resources and actor not in controller._started_actors
        }
    except AttributeError:
        return set()


def limit_pending_trials(number: int) -> AbstractContextManager[None]:
    """Within the block Tune asks for workers for so many trials beyond those that are trained.

    By default it is 200, of which it takes any where two workers are free in the same moment. At
    least as many are wanted as a cluster has slots when it is grown: it grows with what waits.
    """
    return environment_variable(PENDING_VARIABLE, str(number))
