"""Ray Tune over the trials that are missing: one trial, one trainable."""

from __future__ import annotations

import logging
import os
import tempfile
import uuid
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sweep.display.board import Board
from sweep.errors import RefusedError
from sweep.grid.expansion import GridTrial
from sweep.grid.layout import Grid
from sweep.plan import Plan
from sweep.tracking.shipping import Shipper
from sweep.training.attempt import Assignment

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # a lost worker is ours to tell
}


class Cluster:
    """A connection to Ray: this machine, or the cluster at `address`."""

    def __init__(self, address: str | None) -> None:
        os.environ.update(QUIET)
        import ray

        for name in ("ray", "ray.tune", "ray.train", "ray.air"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        try:
            if address:
                ray.init(address=address, **quiet)
            else:
                ray.init(address="local", include_dashboard=False, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise RefusedError(f"no Ray cluster at address {address!r}: {first}") from None
        self.resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]

    def gpus_per_trial(self, grid: Grid) -> float:
        """GPUs of one trial; `auto` takes one where the cluster has any."""
        if grid.resources.gpu == "auto":
            return 1.0 if self.resources.get("GPU") else 0.0
        return float(grid.resources.gpu)

    def slots(self, grid: Grid) -> int:
        """How many trials can run at once; `RefusedError` if not even one fits."""
        wanted = {"CPU": grid.resources.cpu, "GPU": self.gpus_per_trial(grid)}
        fits = [
            int(self.resources.get(kind, 0) // amount) for kind, amount in wanted.items() if amount
        ]
        if min(fits) < 1:
            asked = ", ".join(f"{amount:g} {kind}" for kind, amount in wanted.items() if amount)
            there = f"{self.resources.get('CPU', 0):g} CPU, {self.resources.get('GPU', 0):g} GPU"
            raise RefusedError(f"a trial wants {asked} (`resources`), but there is only {there}")
        return min(fits)

    def shut_down(self) -> None:
        """Disconnect; a Ray that was started here ends."""
        import ray

        ray.shutdown()


def train_missing(plan: Plan, cluster: Cluster, board: Board, shipper: Shipper) -> None:
    """Train what is missing; returns when nothing is left, or when interrupted."""
    from ray import tune
    from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig

    from sweep.training.tune_events import LOST_WORKERS, Events, StopOnRepeatedError, listening
    from sweep.training.worker import TrialTrainable

    gpus = cluster.gpus_per_trial(plan.grid)
    assignments = [_assignment(plan, trial, gpus).to_dict() for trial in plan.missing()]
    trainable = tune.with_resources(TrialTrainable, {"cpu": plan.grid.resources.cpu, "gpu": gpus})
    with tempfile.TemporaryDirectory(prefix="sweep-") as scratch, listening(board, shipper):
        tuner = tune.Tuner(
            trainable,
            param_space={"assignment": tune.grid_search(assignments)},
            tune_config=TuneConfig(
                reuse_actors=True,
                trial_name_creator=_trial_id,
                trial_dirname_creator=_trial_id,
            ),
            run_config=RunConfig(
                name=f"{plan.grid.name}-{uuid.uuid4().hex[:8]}",
                storage_path=scratch,
                verbose=0,
                # By default Tune saves at a trial's end, and a trainable that saves nothing then
                # counts as broken: its actor would not be used again.
                checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                failure_config=FailureConfig(max_failures=LOST_WORKERS),
                callbacks=[Events()],
                stop=StopOnRepeatedError(),
            ),
        )
        with suppress(KeyboardInterrupt):
            tuner.fit()


def _assignment(plan: Plan, trial: GridTrial, gpus: float) -> Assignment:
    grid = plan.grid
    assignment = Assignment(
        spec=trial.spec,
        sweep_uri=plan.folder.storage.uri,
        data_root=grid.data_root,
        import_paths=grid.import_paths,
        device="cuda" if gpus else "cpu",
        num_threads=max(1, int(grid.resources.cpu)),
        edition=grid.edition,
    )
    record = plan.records.get(trial.trial_id)
    retried = record is not None and record.outcome in plan.retry
    return replace(assignment, retry=retried) if retried else assignment


def _trial_id(trial: Any) -> str:
    return str(trial.config["assignment"]["trial_id"])
