"""What a worker trains: a trial, or several seeds of a cell, in an actor that Tune uses again."""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from types import FrameType
from typing import TYPE_CHECKING, Any

from ray import tune

from sweep.execution.assignment import Assignment, parse_assignments
from sweep.execution.attempt import LOG_UPLOAD_S, Attempt, Terminated
from sweep.execution.trial_writer import SupersededError
from sweep.records.record import RecordDamagedError
from trainables.errors import CheckpointTooNew

if TYPE_CHECKING:
    from trainables.fused.lockstep import LockstepTraining

logger = logging.getLogger(__name__)

REPORT_EVERY_S = 1.0
REPORT_SHARE = 0.005
"""Least seconds between reports to the driver, and the largest share of the time they may take."""


class TrialTrainable(tune.Trainable):
    """The Tune trainable of a group of trials, which has its checkpoints in the trials' folders."""

    former: TrialGroup | None = None
    """The trials trained before, whose last checkpoint may not be on the disk yet."""

    def setup(self, config: dict[str, Any]) -> None:
        """Read the assignments from the config; training begins with the first step."""
        signal.signal(signal.SIGTERM, _terminate)
        logging.captureWarnings(True)  # they go into the trial's log
        self.assignments = parse_assignments(config)
        self.width = config["width"]
        self.group: TrialGroup | None = None
        self.reported_at: float | None = None
        self.report_every_s = REPORT_EVERY_S

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Read the assignments of another Tune trial in this process; return True for success."""
        if self.group is not None:
            self.group.release()
        freeze_imported_objects()
        self.former = self.group
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Wait until the last trial's weights and log are written."""
        if self.group is not None:
            with suppress(OSError):
                self.group.settle()
            self.group.settle_logs()

    def step(self) -> dict[str, Any]:
        """Train for a second at least, to an epoch's end, and report what was recorded.

        The worker waits while the driver processes a result, so short epochs are reported together.

        Returns:
            `trials`: a report (`describe_attempt`) by trial id; `failure`: an error of the storage,
            or None; `done`: whether nothing is left to train.
        """
        reported: dict[str, Attempt] = {}
        start, failure = time.monotonic(), None
        if self.reported_at is not None:
            self.report_every_s = max(REPORT_EVERY_S, (start - self.reported_at) / REPORT_SHARE)
        try:
            if self.group is None:
                self.group = TrialGroup(self.assignments, self.width)
            while not self.group.is_done:
                reported |= {attempt.record.trial_id: attempt for attempt in self.group.step()}
                if time.monotonic() >= start + self.report_every_s:
                    break
            for attempt in reported.values():
                attempt.writer.settle_reported()
            if self.former is not None:
                self.former.settle()
                self.former = None
        except (OSError, RecordDamagedError, CheckpointTooNew, SupersededError) as error:
            # No other worker fares better: the driver stops the sweep and says why.
            failure = format_storage_error(error)
            reported = {
                key: attempt for key, attempt in reported.items() if attempt.writer.is_reported
            }
        self.reported_at = time.monotonic()
        return {
            "trials": {
                trial_id: describe_attempt(attempt) for trial_id, attempt in reported.items()
            },
            "failure": failure,
            "done": failure is not None or (self.group is not None and self.group.is_done),
        }


def describe_attempt(attempt: Attempt) -> dict[str, Any]:
    """Return a trial's progress as plain values, for the worker's report to the driver."""
    record = attempt.record
    host = attempt.info.host if attempt.info else None
    return {
        "epochs": len(record.epochs),
        "test_error": record.last_test_error,
        "epoch_s": record.epochs[-1].seconds if record.epochs else 0.0,
        "outcome": record.outcome.value if record.outcome else None,
        "error": vars(record.error) if record.error else None,
        "stopped_for": attempt.stopped_for,
        "notices": attempt.notices,
        "place": f"{host} {attempt.assignment.device}",
    }


def format_storage_error(error: Exception) -> str:
    """Return an error of the storage in a line: `/runs/small: No space left on device`."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


@lru_cache(maxsize=1)
def freeze_imported_objects() -> None:
    """Exclude all present objects from garbage collection, once in a process.

    Called before the second trial: to traverse the imported modules' objects takes 50 ms each time.
    """
    gc.freeze()


def _terminate(number: int, frame: FrameType | None) -> None:
    """Raise `Terminated`; the handler of SIGTERM."""
    raise Terminated(1)


class TrialGroup:
    """Attempts at trials that differ in their seed alone, trained side by side where possible.

    Each attempt commits its own epochs and its own outcome. Trials at the same step are trained
    together; those that are behind catch up first. If training side by side fails, every trial is
    resumed from its last checkpoint and trained separately, so that the error shows its trial.

    Attributes:
        attempts: one per assignment, in their order.
    """

    def __init__(self, assignments: Sequence[Assignment], width: int | None = 1) -> None:
        self.attempts = [Attempt(assignment) for assignment in assignments]
        self._width = width
        self._lockstep: LockstepTraining | None = None
        self._is_separate = False

    @property
    def running(self) -> list[Attempt]:
        """The attempts without an outcome that are not suspended."""
        return [attempt for attempt in self.attempts if not attempt.is_done]

    @property
    def is_done(self) -> bool:
        """Whether no attempt is left to train."""
        return not self.running

    def step(self) -> list[Attempt]:
        """Train until an epoch or outcome is committed; return the attempts that committed one."""
        while running := self.running:
            if running[0].is_stop_requested():
                for attempt in running:
                    attempt.suspend("interrupted")
                return running
            new = [attempt for attempt in running if attempt.trial is None]
            for attempt in new:
                attempt.begin()
            reported = [attempt for attempt in new if attempt.is_done]
            if new and not reported:
                continue  # the driver may have reported it to stop while models were built
            reported = reported or self._advance(self.running)
            if reported:
                return reported
        return []

    def settle(self) -> None:
        """Wait until all files of the attempts are written; raise the error of a failed write."""
        for attempt in self.attempts:
            attempt.writer.settle()

    def settle_logs(self) -> None:
        """Wait a few seconds for the trials' logs to be written."""
        for attempt in self.attempts:
            attempt.log.settle(LOG_UPLOAD_S)

    def release(self) -> None:
        """Drop models and optimizers."""
        self._lockstep = None
        for attempt in self.attempts:
            attempt.release()

    def _advance(self, running: list[Attempt]) -> list[Attempt]:
        """Train the trials with the fewest steps for a chunk, until all are at the same step."""
        behind = min(_training_position(attempt) for attempt in running)
        together = [attempt for attempt in running if _training_position(attempt) == behind]
        if self._is_separate or len(together) == 1 or self._width == 1:
            return [attempt for attempt in together if advance_trial(attempt)]
        return self._advance_side_by_side(together)

    def _advance_side_by_side(self, together: list[Attempt]) -> list[Attempt]:
        """Train trials at the same step for a chunk; return the attempts that committed an epoch.

        If training together fails, each trial is trained separately from now on.
        """
        try:
            lockstep = self._get_lockstep(together)
            progress = lockstep.advance()
        except Terminated:
            raise
        except (Exception, SystemExit):  # whose it is shows when each is by itself
            logger.exception("seeds that were trained side by side failed: each is trained alone")
            self._train_separately(together)
            return []
        for attempt, num_networks in zip(together, lockstep.side_by_side, strict=True):
            if num_networks > 1:
                attempt.record_fused(num_networks)
        pairs = list(zip(together, progress, strict=True))
        return [attempt for attempt, what in pairs if attempt.commit_progress(what)]

    def _get_lockstep(self, together: list[Attempt]) -> LockstepTraining:
        """Return the `LockstepTraining` of these attempts' trials, rebuilt if they have changed."""

        from trainables.fused.lockstep import LockstepTraining

        trials = [attempt.trial for attempt in together if attempt.trial is not None]
        if self._lockstep is None or self._lockstep.trials != trials:
            self._lockstep = LockstepTraining(trials, self._width)
        return self._lockstep

    def _train_separately(self, together: list[Attempt]) -> None:
        """Restart each attempt, and train the trials one by one from now on."""
        self._is_separate, self._lockstep = True, None
        for attempt in together:
            attempt.restart("side by side they failed")


def advance_trial(attempt: Attempt) -> bool:
    """Train a chunk of steps, or test; return whether an epoch or outcome was committed."""
    metrics = None
    if attempt.trial is not None:
        with attempt.record_trial_errors():
            metrics = attempt.trial.advance()
    return attempt.commit_progress(metrics)


def _training_position(attempt: Attempt) -> tuple[int, int]:
    """Return the attempt's finished epochs and the steps into the next one."""
    trial = attempt.trial
    return (trial.epoch, trial.steps_into_epoch) if trial is not None else (0, 0)
