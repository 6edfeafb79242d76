"""Ray Tune over the trials that are missing: one trial, one trainable."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import uuid
from dataclasses import dataclass
from typing import Any

from sweep import interrupts
from sweep.display.board import Board
from sweep.errors import NotStartedError, RefusedError
from sweep.grid.edition import edition_of
from sweep.grid.expansion import GridTrial
from sweep.grid.layout import Grid
from sweep.plan import Plan
from sweep.records.lock import Reign
from sweep.tracking.shipping import Shipper
from sweep.training.assignment import Assignment
from trainables.errors import reason

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours lets trials put themselves aside first
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # a lost worker is ours to tell
}


@dataclass(frozen=True)
class Share:
    """What one trial occupies of the cluster."""

    cpu: float
    gpu: float

    @property
    def device(self) -> str:
        """Where the trial is trained."""
        return "cuda" if self.gpu else "cpu"

    def __str__(self) -> str:
        amounts = {"CPU": self.cpu, "GPU": self.gpu}
        return ", ".join(f"{amount:g} {kind}" for kind, amount in amounts.items() if amount)


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
            self.resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        except SystemExit:  # SIGTERM, for which Ray has by now a handler of its own
            interrupts.install()
            signal.raise_signal(signal.SIGTERM)
            raise
        except Exception as error:
            ray.shutdown()
            first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            if address:
                raise RefusedError(f"no Ray cluster at address {address!r}: {first}") from None
            raise NotStartedError(f"Ray does not start on this machine: {first}") from None
        self.largest_node = max((node.get("CPU", 0.0) for node in nodes), default=0.0)

    def shares(self, grid: Grid) -> list[Share]:
        """What a trial gets, and ever more for those that ran out of memory with that.

        A share of a GPU doubles up to the whole; on CPUs a trial is at last alone on its machine.
        """
        cpu, gpu = float(grid.resources.cpu), self._gpus_per_trial(grid)
        shares = [Share(cpu, gpu)]
        while 0 < shares[-1].gpu < 1:
            shares.append(Share(cpu, min(1.0, 2 * shares[-1].gpu)))
        if not gpu and cpu < self.largest_node:
            shares.append(Share(self.largest_node, 0.0))
        return shares

    def _gpus_per_trial(self, grid: Grid) -> float:
        if grid.resources.gpu == "auto":
            return 1.0 if self.resources.get("GPU") else 0.0
        return float(grid.resources.gpu)

    def slots(self, share: Share) -> int:
        """How many trials can run at once; `RefusedError` if not even one fits."""
        wanted = {"CPU": share.cpu, "GPU": share.gpu}
        fits = [
            int(self.resources.get(kind, 0) // amount) for kind, amount in wanted.items() if amount
        ]
        if min(fits) < 1:
            there = f"{self.resources.get('CPU', 0):g} CPU, {self.resources.get('GPU', 0):g} GPU"
            raise RefusedError(f"a trial wants {share} (`resources`), but there is only {there}")
        return min(fits)

    def shut_down(self) -> None:
        """Disconnect; a Ray that was started here ends."""
        import ray

        ray.shutdown()


def train_missing(
    plan: Plan, cluster: Cluster, board: Board, shipper: Shipper, reign: Reign
) -> None:
    """Train what is missing; returns when nothing is left, or when the sweep has to stop.

    Trials that ran out of memory come again when all others are done, with more of the device.
    """
    from sweep.training.tune_events import Listener, listening

    shares = cluster.shares(plan.grid)
    trials = plan.missing()
    for number, share in enumerate(shares, start=1):
        is_last = number == len(shares)
        board.slots = cluster.slots(share)
        assignments = [
            _assignment(plan, trial, share, driver=reign.token, may_have_more=not is_last).to_dict()
            for trial in trials
        ]
        with listening(Listener(board, shipper, reign, is_last_share=is_last)):
            try:
                _tune(assignments, share)
            except Exception as error:  # Tune's own: what trials raise is in their records
                board.broken = board.broken or f"Ray: {reason(error)}"
        trials = [trial for trial in trials if trial.trial_id in board.out_of_memory]
        board.out_of_memory.clear()
        if board.is_stopping or not trials:
            return
        board.notice(
            f"{len(trials)} trials ran out of memory with {share} each: they are trained again "
            f"with {shares[number]}"
        )


def _tune(assignments: list[dict[str, Any]], share: Share) -> None:
    from ray import tune
    from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig

    from sweep.training.tune_events import LOST_WORKERS, Events, StopInOrder
    from sweep.training.worker import TrialTrainable

    trainable = tune.with_resources(TrialTrainable, {"cpu": share.cpu, "gpu": share.gpu})
    with tempfile.TemporaryDirectory(prefix="sweep-") as scratch:
        tune.Tuner(
            trainable,
            param_space={"assignment": tune.grid_search(assignments)},
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


def _assignment(
    plan: Plan, trial: GridTrial, share: Share, *, driver: str, may_have_more: bool
) -> Assignment:
    grid = plan.grid
    record = plan.records.get(trial.trial_id)
    return Assignment(
        spec=trial.spec,
        sweep_uri=plan.folder.storage.uri,
        data_root=grid.data_root,
        import_paths=grid.import_paths,
        device=share.device,
        num_threads=max(1, int(grid.resources.cpu)),
        retry=record is not None and record.outcome in plan.retry,
        edition=edition_of(grid, trial.spec),
        driver=driver,
        may_have_more=may_have_more,
        checkpoint_every_s=grid.checkpoint_every_s,
    )


def _trial_id(trial: Any) -> str:
    return str(trial.config["assignment"]["trial_id"])
