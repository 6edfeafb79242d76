"""Ray Tune over the trials that are missing: a trainable for each, or for several seeds."""

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
    packing: GpuShares,
    board: SweepState,
    shipper: Exporter,
    reign: DriverLease,
) -> None:
    """Train what is missing; returns when nothing is left, or when the sweep has to stop.

    Trials that ran out of memory come again when all others are done, with more of the device.
    """
    from sweep.execution.callbacks import RunListener, receive_tune_events
    from sweep.execution.worker_losses import Losses

    trials, losses = plan.missing(), Losses(plan.folder)
    ladders = {trial.trial_id: packing.shares(trial) for trial in trials}
    while trials:
        shares = {trial.trial_id: ladders[trial.trial_id].pop(0) for trial in trials}
        board.slots = packing.slots(plan, shares)
        # As text: of a grid search over anything else Tune makes a deep copy for every trial.
        assignments = [
            json.dumps(
                [
                    replace(
                        _assignment(plan, trial, shares[trial.trial_id]),
                        driver=reign.token,
                        can_grow=bool(ladders[trial.trial_id]),
                        # A cluster's nodes have their modules from Ray's runtime environment.
                        import_paths=() if cluster.is_remote else plan.grid.import_paths,
                    ).to_dict()
                    for trial in together
                ]
            )
            for together in group_seeds(plan, trials, board.slots)
        ]
        logger.info(
            "training %s in %s of Tune, %d at once",
            count_noun(len(trials), "trial"),
            count_noun(len(assignments), "trial"),
            board.slots,
        )
        growing = frozenset(trial_id for trial_id in shares if ladders[trial_id])
        with receive_tune_events(RunListener(board, shipper, reign, losses, can_grow=growing)):
            try:
                _tune(assignments, shares, max_seeds_side_by_side(plan.grid), board.slots)
            except Exception as error:  # Tune's own: what trials raise is in their records
                logger.exception("Tune raised an error")
                board.broken = board.broken or f"Ray: {describe_error(error)}"
        trials = [trial for trial in trials if trial.trial_id in board.out_of_memory]
        board.out_of_memory.clear()
        if board.is_stopping:
            logger.info("training stops with %d trials running", len(board.running))
            return
        again = Counter((shares[t.trial_id], ladders[t.trial_id][0]) for t in trials)
        for (less, more), number in again.items():
            board.notice(
                f"{count_noun(number, 'trial')} ran out of memory with {less} each: trained again "
                f"with {more}"
            )


def max_seeds_side_by_side(grid: Grid) -> int | None:
    """How many seeds side by side a worker trains, at most; None: as many as are fastest."""
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

    from sweep.execution.callbacks import SweepStopper, TuneCallbacks, may_go_on
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
        decide_recovery_by(may_go_on),
        skip_tune_startup(),
        # Of each kind of share, so that a worker that is free finds a trial that fits it.
        limit_pending_trials((num_slots + 1) * len(set(shares.values()))),
        freeze_imported_objects(),
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
def freeze_imported_objects() -> Iterator[None]:
    """Have the garbage collector not go through all that is imported between two trials.

    Libraries complain at Python's end of what it was not allowed to take down.
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
