"""Ray Tune over the trials that are missing: a trainable for each, or for several seeds."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import replace
from typing import Any

from sweep.cluster.capacity import Share
from sweep.cluster.connection import Cluster
from sweep.cluster.own_modules import source_digest
from sweep.display.board import Board
from sweep.grid.edition import edition_of
from sweep.grid.expansion import GridTrial
from sweep.grid.layout import Grid
from sweep.plan import Plan
from sweep.records.lock import Reign
from sweep.tracking.shipping import Shipper
from sweep.training.assignment import Assignment
from sweep.training.grouping import groups
from sweep.wording import counted
from trainables.errors import reason


def train_missing(
    plan: Plan, cluster: Cluster, board: Board, shipper: Shipper, reign: Reign
) -> None:
    """Train what is missing; returns when nothing is left, or when the sweep has to stop.

    Trials that ran out of memory come again when all others are done, with more of the device.
    """
    from sweep.training.tune_events import Listener, listening

    shares = cluster.capacity.shares(plan.grid)
    trials = plan.missing()
    for number, share in enumerate(shares, start=1):
        is_last = number == len(shares)
        board.slots = cluster.capacity.slots(share)
        assignments = [
            [
                replace(
                    _assignment(plan, trial, share),
                    driver=reign.token,
                    may_have_more=not is_last,
                    # A cluster's nodes have their modules from Ray's runtime environment.
                    import_paths=() if cluster.is_remote else plan.grid.import_paths,
                ).to_dict()
                for trial in together
            ]
            for together in groups(plan, trials, board.slots)
        ]
        with listening(Listener(board, shipper, reign, is_last_share=is_last)):
            try:
                _tune(assignments, share, width_of(plan.grid))
            except Exception as error:  # Tune's own: what trials raise is in their records
                board.broken = board.broken or f"Ray: {reason(error)}"
        trials = [trial for trial in trials if trial.trial_id in board.out_of_memory]
        board.out_of_memory.clear()
        if board.is_stopping or not trials:
            return
        board.notice(
            f"{counted(len(trials), 'trial')} ran out of memory with {share} each: trained again "
            f"with {shares[number]}"
        )


def width_of(grid: Grid) -> int | None:
    """How many seeds side by side a worker trains, at most; None: as many as are fastest."""
    wanted = grid.resources.seeds_per_trainable
    return None if wanted == "auto" else wanted


def _tune(assignments: list[list[dict[str, Any]]], share: Share, width: int | None) -> None:
    from ray import tune
    from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig

    from sweep.training.lost_workers import LOST_WORKERS, memory_kills_as_lost_workers
    from sweep.training.tune_events import Events, StopInOrder
    from sweep.training.worker import TrialTrainable

    trainable = tune.with_resources(TrialTrainable, {"cpu": share.cpu, "gpu": share.gpu})
    with tempfile.TemporaryDirectory(prefix="sweep-") as scratch, memory_kills_as_lost_workers():
        tune.Tuner(
            trainable,
            param_space={"assignments": tune.grid_search(assignments), "width": width},
            tune_config=TuneConfig(
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
                callbacks=[Events()],
                stop=StopInOrder(),
            ),
        ).fit()


def _assignment(plan: Plan, trial: GridTrial, share: Share) -> Assignment:
    grid = plan.grid
    record = plan.records.get(trial.trial_id)
    return Assignment(
        spec=trial.spec,
        sweep_uri=plan.folder.storage.uri,
        data_root=grid.data_root,
        device=share.device,
        num_threads=max(1, int(grid.resources.cpu)),
        source=source_digest(trial.spec.own, grid.import_paths),
        retry=record is not None and record.outcome in plan.retry,
        edition=edition_of(grid, trial.spec),
        checkpoint_every_s=grid.checkpoint_every_s,
    )


def _trial_id(trial: Any) -> str:
    return str(trial.config["assignments"][0]["trial_id"])
