"""Trains the missing trials with Ray Tune: a trainable for each trial, or for several seeds."""

from __future__ import annotations

import gc
import json
import logging
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sweep.execution.assignment import Assignment, trial_ids
from sweep.execution.state import SweepState
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.grid.presets import preset_of
from sweep.planning.plan import Plan
from sweep.planning.seed_groups import group_seeds
from sweep.records.custom_source import source_digest
from sweep.records.lease import DriverLease
from sweep.resources.capacity import Share
from sweep.resources.gpu_sharing.shares import GpuShares
from sweep.resources.ray_cluster import Cluster
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


def train_missing(
    plan: Plan,
    cluster: Cluster,
    gpu_shares: GpuShares,
    state: SweepState,
    exporter: Exporter,
    lease: DriverLease,
) -> None:
    """Train the missing trials; return when none is left, or when the sweep has to stop.

    Trials that ran out of memory are trained again after all others, with a larger share.

    Args:
        plan: the trials and their records.
        cluster: the connection to Ray.
        gpu_shares: the shares of the device that each trial gets, the smallest first.
        state: updated as trials start, progress and end.
        exporter: told of each record that changes.
        lease: the driver's lease, by which workers are told to stop.
    """
    from sweep.execution.callbacks import RunListener, receive_tune_events
    from sweep.execution.worker_losses import Losses

    trials, losses = plan.missing(), Losses(plan.folder)
    ladders = {trial.trial_id: gpu_shares.shares(trial) for trial in trials}
    while trials:
        shares = {trial.trial_id: ladders[trial.trial_id].pop(0) for trial in trials}
        state.slots = gpu_shares.slots(plan, shares)
        # As text: of a grid search over anything else Tune makes a deep copy for every trial.
        assignments = [
            json.dumps(
                [
                    replace(
                        _assignment(plan, trial, shares[trial.trial_id]),
                        driver=lease.token,
                        can_grow=bool(ladders[trial.trial_id]),
                        # A cluster's nodes have their modules from Ray's runtime environment.
                        import_paths=() if cluster.is_remote else plan.grid.import_paths,
                    ).to_dict()
                    for trial in together
                ]
            )
            for together in group_seeds(plan, trials, state.slots)
        ]
        logger.info(
            "training %s in %s of Tune, %d at once",
            count_noun(len(trials), "trial"),
            count_noun(len(assignments), "trial"),
            state.slots,
        )
        growing = frozenset(trial_id for trial_id in shares if ladders[trial_id])
        with receive_tune_events(RunListener(state, exporter, lease, losses, can_grow=growing)):
            try:
                _tune(assignments, shares, max_seeds_side_by_side(plan.grid), state.slots)
            except Exception as error:  # Tune's own: what trials raise is in their records
                logger.exception("Tune raised an error")
                state.failure = state.failure or f"Ray: {describe_error(error)}"
        trials = [trial for trial in trials if trial.trial_id in state.out_of_memory]
        state.out_of_memory.clear()
        if state.is_stopping:
            logger.info("training stops with %d trials running", len(state.running))
            return
        again = Counter((shares[t.trial_id], ladders[t.trial_id][0]) for t in trials)
        for (less, more), number in again.items():
            state.notice(
                f"{count_noun(number, 'trial')} ran out of memory with {less} each: trained again "
                f"with {more}"
            )


def max_seeds_side_by_side(grid: Grid) -> int | None:
    """Return how many seeds a worker trains side by side at most; None: as many as are fastest."""
    wanted = grid.resources.seeds_per_trainable
    return None if wanted == "auto" else wanted


def _tune(
    assignments: list[str], shares: Mapping[str, Share], width: int | None, num_slots: int
) -> None:
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
        limit_pending_trials((num_slots + 1) * len(set(shares.values()))),
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
    """Within the block the garbage collector skips the objects of imported modules, for speed.

    They are given back at the end: libraries print errors where Python cannot collect them at exit.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _assignment(plan: Plan, trial: GridTrial, share: Share) -> Assignment:
    grid = plan.grid
    record = plan.records.get(trial.trial_id)
    return Assignment(
        spec=trial.spec,
        sweep_uri=plan.folder.storage.uri,
        data_root=grid.data_root,
        folder=grid.folder,
        device=share.device,
        cell=trial.cell_name,
        num_threads=max(1, int(grid.resources.cpu)),
        source=source_digest(trial.spec.own, grid.import_paths),
        retry=record is not None and record.outcome in plan.retry,
        edition=preset_of(grid, trial.spec),
        checkpoint_every_s=grid.checkpoint_every_s,
        compilation=grid.resources.compile,
        cuda_graphs=grid.resources.cuda_graphs == "auto",
        log_models=grid.log_models,
    )


def _trial_id(trial: Any) -> str:
    return trial_ids(trial.config)[0]
