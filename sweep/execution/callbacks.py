"""Tune's callbacks: they pass a sweep's events on to its state and to the exporter.

Tune pickles its callbacks, so these hold nothing: the listeners are kept in this module while a
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
"""How long a stopping sweep waits for its workers to suspend their trials."""

NODE_CHECK_S = 5.0
"""How often the driver asks whether its own node of Ray is alive."""


@dataclass
class RunListener:
    """Updates the sweep's state and the exporter by Tune's events.

    Attributes:
        state: the state of the sweep.
        exporter: the driver's handle on the process that exports to MLflow.
        lease: the driver's lease of the sweep.
        losses: counts the lost workers of each trial.
        can_grow: ids of trials that can get a larger share of the device.
        stopping_since: when the sweep began to stop (`time.monotonic`), None while it trains.
        node_checked_at: when Ray was last asked for this machine's node.
        node_is_lost: whether Ray's processes on this machine have died.
    """

    state: SweepState
    exporter: Exporter
    lease: DriverLease
    losses: Losses
    can_grow: frozenset[str] = frozenset()
    stopping_since: float | None = None
    node_checked_at: float = 0.0
    node_is_lost: bool = False

    def should_end(self) -> bool:
        """Return whether Tune's run is to end: the sweep is stopping and no trial is running.

        After `SHUTDOWN_S` seconds of stopping the run ends in any case.
        """
        self._update_tracking_error()
        if not self.state.failure:
            self.state.failure = self.lease.lost
        if not self.state.is_stopping:  # a signal may have ended Ray's processes too
            self.state.failure = self._lost_node()
        if not self.state.is_stopping:
            return False
        self.lease.stop()
        self.stopping_since = self.stopping_since or time.monotonic()
        is_over = time.monotonic() - self.stopping_since > SHUTDOWN_S
        return is_over or not self.state.running or bool(self.lease.lost or self.node_is_lost)

    def unfinished_trials(self, tune_trial: Any) -> list[str]:
        """Return the ids of the trials without an outcome that a Tune trial trains."""
        ids = trial_ids(tune_trial.config)
        return [trial_id for trial_id in ids if self.state.states[trial_id].outcome is None]

    def record_lost_trial(self, trial_id: str, error: Exception | str | None) -> None:
        """Record the outcome of a trial that lost its workers too often.

        If memory ran out and a larger share is possible, the trial waits for the next round
        instead.
        """
        logger.warning("trial %s is given up: %s", trial_id, error)
        cause = str(getattr(error, "cause", error) or "its worker was lost").strip()
        if not is_lost_worker(error):
            self.state.mark_lost(trial_id, cause.splitlines()[-1])
        elif is_memory_kill(error) and trial_id in self.can_grow:
            self.state.suspend(trial_id, out_of_memory=True)
        elif not self.lease.lost:
            # Nobody is left who could record it, and training it again would end alike.
            record_worker_death(self.state, trial_id, error)
            self.exporter.notify_change(trial_id)

    def may_recover(self, tune_trial: Any) -> bool:
        """Return whether a Tune trial that has lost its worker gets another one."""
        error, left = last_trial_error(tune_trial), self.unfinished_trials(tune_trial)
        if not left or is_preempted(error):
            return True
        return self.losses.count(left) <= LOST_WORKERS

    def _update_tracking_error(self) -> None:
        """Set or clear the state's tracking error when MLflow becomes unreachable or reachable."""
        news = self.exporter.poll_reachability()
        if news is not None:
            self.state.set_tracking_error(news.error)

    def _lost_node(self) -> str | None:
        """Return the failure message if Ray's node on this machine has died, else None.

        Tune would wait for the node for ever.
        """
        if time.monotonic() - self.node_checked_at < NODE_CHECK_S:
            return None
        self.node_checked_at = time.monotonic()
        here = ray.get_runtime_context().get_node_id()
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]
        self.node_is_lost = here not in alive
        return "Ray's processes on this machine have died" if self.node_is_lost else None


_listeners: list[RunListener] = []


@contextmanager
def receive_tune_events(listener: RunListener) -> Iterator[None]:
    """Within the block, send Tune's events to the listener."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def may_recover(tune_trial: Any) -> bool:
    """Return whether every listener allows a Tune trial that lost its worker to get another one."""
    return all(listener.may_recover(tune_trial) for listener in _listeners)


class TuneCallbacks(Callback):
    """Tune's callbacks, which pass starts, results and losses of trials on to the listeners.

    They must not raise: an exception would end the sweep.
    """

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Mark the trials of a Tune trial as running."""
        for listener in _listeners:
            for trial_id in listener.unfinished_trials(trial):
                logger.info("trial %s is with a worker", trial_id)
                listener.state.start(trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Update the state by the epochs, outcomes and suspensions that a worker reports."""
        for listener in _listeners:
            state = listener.state
            if result["failure"]:
                logger.error("a worker cannot go on: %s", result["failure"])
                state.failure = state.failure or result["failure"]
                for trial_id in listener.unfinished_trials(trial):
                    state.suspend(trial_id)
            for trial_id, report in result["trials"].items():
                _apply_report(state, trial_id, report)
                listener.exporter.notify_change(trial_id)
            listener.lease.stop_cells(state.repeated.stopped)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count the lost worker and notify the user that the trials get another one."""
        for listener in _listeners:
            state = listener.state
            state.num_lost_workers += not state.is_stopping
            logger.warning("a worker was lost: %s", last_trial_error(trial))
            if not state.is_stopping:
                for trial_id in listener.unfinished_trials(trial):
                    state.notice(format_recovery(state, trial_id, last_trial_error(trial)))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record trials that have lost their worker too often."""
        for listener in _listeners:
            listener.state.num_lost_workers += not listener.state.is_stopping
            for trial_id in listener.unfinished_trials(trial):
                listener.record_lost_trial(trial_id, last_trial_error(trial))


def _apply_report(state: SweepState, trial_id: str, report: dict[str, Any]) -> None:
    """Update the state of one trial by a worker's report (`describe_attempt`)."""
    logger.debug("trial %s: %s epochs, outcome %s", trial_id, report["epochs"], report["outcome"])
    for line in report["notices"]:
        state.notice(line)
    if report["stopped_for"]:
        logger.info("trial %s is suspended: %s", trial_id, report["stopped_for"])
        state.suspend(trial_id, out_of_memory=report["stopped_for"] == "out_of_memory")
        return
    state.report(
        trial_id,
        epochs=report["epochs"],
        test_error=report["test_error"],
        epoch_s=report["epoch_s"],
        outcome=Outcome(report["outcome"]) if report["outcome"] else None,
        error=report["error"]["traceback"] if report["error"] else None,
        place=report["place"],
    )


class SweepStopper(Stopper):
    """Tune's stopper: ends the run when a listener asks for the end."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: no single trial is stopped."""
        return False

    def stop_all(self) -> bool:
        """Return whether the sweep is to end; Tune asks several times a second."""
        return any(listener.should_end() for listener in _listeners)
