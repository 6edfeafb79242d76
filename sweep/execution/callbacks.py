"""What Tune tells the driver, handed to the board and to the shipping process.

Tune pickles its callbacks, so these hold nothing: the listeners stand in this module while a
sweep runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.tune import Callback, Stopper

from sweep.execution.assignment import trial_ids
from sweep.execution.state import SweepState
from sweep.execution.worker_failures import format_recovery, record_worker_death
from sweep.execution.worker_losses import LOST_WORKERS, Losses
from sweep.records.lease import DriverLease
from sweep.resources.ray_compat import (
    is_lost_worker,
    is_memory_kill,
    is_preempted,
    last_trial_error,
)
from sweep.tracking.exporter import Exporter
from trainables.spec import Outcome

logger = logging.getLogger(__name__)

SHUTDOWN_S = 9.0
"""How long a stopping sweep waits for its workers to put their trials aside."""

NODE_CHECK_S = 5.0
"""How often the driver asks whether its own node of Ray is alive."""


@dataclass
class RunListener:
    """Who is told of Tune's events. `can_grow`: trials that can get more of the device."""

    board: SweepState
    shipper: Exporter
    reign: DriverLease
    losses: Losses
    can_grow: frozenset[str] = frozenset()
    stopping_since: float | None = None
    last_look: float = 0.0
    node_is_lost: bool = False

    def should_end(self) -> bool:
        """Whether the sweep is to end now: asked to, and its trials put aside or out of time."""
        self._update_tracking_error()
        if not self.board.broken:
            self.board.broken = self.reign.lost
        if not self.board.is_stopping:  # Ray's processes may have been told to end as well
            self.board.broken = self._lost_node()
        if not self.board.is_stopping:
            return False
        self.reign.stop()
        self.stopping_since = self.stopping_since or time.monotonic()
        is_over = time.monotonic() - self.stopping_since > SHUTDOWN_S
        return is_over or not self.board.running or bool(self.reign.lost or self.node_is_lost)

    def unfinished_trials(self, tune_trial: Any) -> list[str]:
        """The trials without an outcome among those that Tune has as one."""
        ids = trial_ids(tune_trial.config)
        return [trial_id for trial_id in ids if self.board.states[trial_id].outcome is None]

    def give_up(self, trial_id: str, error: Exception | str | None) -> None:
        """Every worker that had the trial was lost."""
        logger.warning("trial %s is given up: %s", trial_id, error)
        cause = str(getattr(error, "cause", error) or "its worker was lost").strip()
        if not is_lost_worker(error):
            self.board.lose(trial_id, cause.splitlines()[-1])
        elif is_memory_kill(error) and trial_id in self.can_grow:
            self.board.suspend(trial_id, out_of_memory=True)
        elif not self.reign.lost:
            # Nobody is left who could record it, and training it again would end alike.
            record_worker_death(self.board, trial_id, error)
            self.shipper.changed(trial_id)

    def may_go_on(self, tune_trial: Any) -> bool:
        """Whether trials that have lost their worker are given another one."""
        error, left = last_trial_error(tune_trial), self.unfinished_trials(tune_trial)
        if not left or is_preempted(error):
            return True
        return self.losses.count(left) <= LOST_WORKERS

    def _update_tracking_error(self) -> None:
        """Have the board say when MLflow goes out of reach, and when it is back."""
        news = self.shipper.news()
        if news is not None:
            self.board.set_tracking_error(news.error)

    def _lost_node(self) -> str | None:
        """Tune waits for ever where the driver's own node of Ray has died."""
        if time.monotonic() - self.last_look < NODE_CHECK_S:
            return None
        self.last_look = time.monotonic()
        here = ray.get_runtime_context().get_node_id()
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]
        self.node_is_lost = here not in alive
        return "Ray's processes on this machine have died" if self.node_is_lost else None


_listeners: list[RunListener] = []


@contextmanager
def receive_tune_events(listener: RunListener) -> Iterator[None]:
    """Hand Tune's events on while the block lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def may_go_on(tune_trial: Any) -> bool:
    """Whether every listener has trials that lost their worker given another one."""
    return all(listener.may_go_on(tune_trial) for listener in _listeners)


class TuneCallbacks(Callback):
    """Starts, results and lost workers. An exception here would end the sweep: none is raised."""

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker takes trials (again, if their first one was lost)."""
        for listener in _listeners:
            for trial_id in listener.unfinished_trials(trial):
                logger.info("trial %s is with a worker", trial_id)
                listener.board.start(trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A worker has committed epochs or outcomes, or put its trials aside."""
        for listener in _listeners:
            board = listener.board
            if result["broken"]:
                logger.error("a worker cannot go on: %s", result["broken"])
                board.broken = board.broken or result["broken"]
                for trial_id in listener.unfinished_trials(trial):
                    board.suspend(trial_id)
            for trial_id, told in result["trials"].items():
                _report(board, trial_id, told)
                listener.shipper.changed(trial_id)
            listener.reign.stop_cells(board.repeated.stopped)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Trials have lost their worker and are given another one."""
        for listener in _listeners:
            board = listener.board
            board.num_lost += not board.is_stopping
            logger.warning("a worker was lost: %s", last_trial_error(trial))
            if not board.is_stopping:
                for trial_id in listener.unfinished_trials(trial):
                    board.notice(format_recovery(board, trial_id, last_trial_error(trial)))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Trials have lost their worker too often."""
        for listener in _listeners:
            listener.board.num_lost += not listener.board.is_stopping
            for trial_id in listener.unfinished_trials(trial):
                listener.give_up(trial_id, last_trial_error(trial))


def _report(board: SweepState, trial_id: str, told: dict[str, Any]) -> None:
    logger.debug("trial %s: %s epochs, outcome %s", trial_id, told["epochs"], told["outcome"])
    for line in told["notices"]:
        board.notice(line)
    if told["stopped_for"]:
        logger.info("trial %s is suspended: %s", trial_id, told["stopped_for"])
        board.suspend(trial_id, out_of_memory=told["stopped_for"] == "out_of_memory")
        return
    board.report(
        trial_id,
        epochs=told["epochs"],
        test_error=told["test_error"],
        epoch_s=told["epoch_s"],
        outcome=Outcome(told["outcome"]) if told["outcome"] else None,
        error=told["error"]["traceback"] if told["error"] else None,
        place=told["place"],
    )


class SweepStopper(Stopper):
    """Ends the sweep when one traceback ends trials of every kind, or when it cannot go on."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped from outside."""
        return False

    def stop_all(self) -> bool:
        """Whether the sweep is to end; Tune asks several times a second."""
        return any(listener.should_end() for listener in _listeners)
