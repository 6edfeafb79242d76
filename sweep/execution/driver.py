"""Trains the missing trials with Ray Tune: a trainable for each trial, or for several seeds."""

from __future__ import annotations

import gc
import json
import logging
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sweep.execution.assignment import Assignment, trial_ids
from sweep.execution.schedule import Schedule
from sweep.execution.state import SweepState
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.grid.presets import find_preset_changes
from sweep.records.custom_source import source_digest
from sweep.records.lease import DriverLease
from sweep.resources.ray_compat import (
    decide_recovery_by,
    limit_pending_trials,
    skip_tune_startup,
    treat_memory_kills_as_lost_workers,
)
from sweep.tracking.exporter import Exporter
from sweep.wording import count_noun
from trainables.errors import describe_error

logger = logging.getLogger(__name__)


def train(schedule: Schedule, state: SweepState, exporter: Exporter, lease: DriverLease) -> None:
    """Train the scheduled trials; return when none is left, or when the sweep has to stop.

    Trials that run out of memory are trained again when all others are done, with larger shares.

    Args:
        schedule: the trials in their groups, each with its share of a node.
        state: receives what the workers report.
        exporter: is told of each record that changes.
        lease: this driver's lease on the sweep, through which workers are told to stop.
    """
    from sweep.execution.callbacks import RunListener, receive_tune_events
    from sweep.execution.worker_losses import Losses

    losses = Losses(schedule.plan.folder)
    while True:
        state.slots = schedule.slots
        logger.info(
            "training %s in %s of Tune, %d at once",
            count_noun(len(schedule.shares), "trial"),
            count_noun(len(schedule.groups), "trial"),
            schedule.slots,
        )
        listener = RunListener(state, exporter, lease, losses, can_grow=schedule.extensible)
        with receive_tune_events(listener):
            try:
                _run_tune(schedule, lease.token)
            except Exception as error:  # Tune's own: what trials raise is in their records
                logger.exception("Tune raised an error")
                state.failure = state.failure or f"Ray: {describe_error(error)}"
        again = [t for t in schedule.plan.missing() if t.trial_id in state.out_of_memory]
        state.out_of_memory.clear()
        if state.is_stopping:
            logger.info("training stops with %d trials running", len(state.running))
        if state.is_stopping or not again:
            return
        before, schedule = schedule, schedule.next_round(again, state.costs)
        pairs = Counter((before.share(t.trial_id), schedule.share(t.trial_id)) for t in again)
        for (less, more), number in pairs.items():
            state.notice(
                f"{count_noun(number, 'trial')} ran out of memory with {less} each: trained again "
                f"with {more}"
            )


def max_seeds_side_by_side(grid: Grid) -> int | None:
    """Return how many seeds a worker trains as one network; None for the fastest number."""
    wanted = grid.resources.seeds_per_trainable
    return None if wanted == "auto" else wanted


def _run_tune(schedule: Schedule, driver_token: str) -> None:
    """Run Ray Tune on the groups of the schedule, one Tune trial per group, until it ends."""

    from ray import tune
    from ray.tune import (
        CheckpointConfig,
        FailureConfig,
        PlacementGroupFactory,
        RunConfig,
        TuneConfig,
    )

    from sweep.execution.callbacks import SweepStopper, TuneCallbacks, may_recover
    from sweep.execution.trainable import TrialTrainable
    from sweep.execution.trial_order import OrderedScheduler
    from sweep.execution.worker_losses import LOST_WORKERS

    # As text: of a grid search over anything else Tune makes a deep copy for every trial.
    assignments = [
        json.dumps([_make_assignment(schedule, trial, driver_token).to_dict() for trial in group])
        for group in schedule.groups
    ]
    shares = {trial_id: schedule.share(trial_id) for trial_id in schedule.shares}
    width = max_seeds_side_by_side(schedule.plan.grid)
    # Those of one trial are those of all that share its trainable: they are of one cell.
    bundles = {trial_id: [share.amounts] for trial_id, share in shares.items()}
    trainable = tune.with_resources(
        TrialTrainable,
        lambda config: PlacementGroupFactory(bundles[trial_ids(config)[0]]),
    )
    with (
        tempfile.TemporaryDirectory(prefix="sweep-") as scratch,
        treat_memory_kills_as_lost_workers(),
        decide_recovery_by(may_recover),
        skip_tune_startup(),
        # Of each kind of share, so that a worker that is free finds a trial that fits it.
        limit_pending_trials((schedule.slots + 1) * len(set(shares.values()))),
        imports_out_of_garbage_collection(),
    ):
        tune.Tuner(
            trainable,
            param_space={"assignments": tune.grid_search(assignments), "width": width},
            tune_config=TuneConfig(
                scheduler=OrderedScheduler(),  # type: ignore[no-untyped-call]
                reuse_actors=True,
                trial_name_creator=_trial_id,
                trial_dirname_creator=_trial_id,
            ),
            run_config=RunConfig(
                name=f"sweep-{uuid.uuid4().hex[:8]}",
                storage_path=scratch,
                verbose=0,
                # By default Tune saves at a trial's end, and a trainable that saves nothing then
                # counts as broken: its actor would not be used again.
                checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                failure_config=FailureConfig(max_failures=LOST_WORKERS),
                callbacks=[TuneCallbacks()],
                stop=SweepStopper(),
            ),
        ).fit()


@contextmanager
def imports_out_of_garbage_collection() -> Iterator[None]:
    """Within the block, exclude the objects of imported modules from garbage collection, for speed.

    At the end they are collected again: libraries print errors where Python cannot collect them at
    exit.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _make_assignment(schedule: Schedule, trial: GridTrial, driver_token: str) -> Assignment:
    """Return the assignment that tells a worker how to train the trial in this round."""
    plan, grid = schedule.plan, schedule.plan.grid
    record = plan.records.get(trial.trial_id)
    return Assignment(
        spec=trial.spec,
        sweep_uri=plan.folder.storage.uri,
        data_root=grid.data_root,
        folder=grid.folder,
        device=schedule.share(trial.trial_id).device,
        cell=trial.cell_name,
        num_threads=max(1, int(grid.resources.cpu)),
        source=source_digest(trial.spec.custom_names, grid.import_paths),
        retry=record is not None and record.outcome in plan.retry,
        preset=find_preset_changes(grid, trial.spec),
        checkpoint_every_s=grid.checkpoint_every_s,
        compilation=grid.resources.compile,
        cuda_graphs=grid.resources.cuda_graphs == "auto",
        log_models=grid.log_models,
        driver=driver_token,
        can_grow=trial.trial_id in schedule.extensible,
        # A cluster's nodes have their modules from Ray's runtime environment.
        import_paths=() if schedule.is_remote else grid.import_paths,
    )


def _trial_id(trial: Any) -> str:
    """Return the id of the first trial that a Tune trial trains, as the Tune trial's name."""
    return trial_ids(trial.config)[0]
