"""The Tune trainable: a trial, or several seeds of a cell, in an actor that Tune uses again."""

from __future__ import annotations

import gc
import logging
import signal
import time
from contextlib import suppress
from functools import lru_cache
from types import FrameType
from typing import Any

from ray import tune

from sweep.execution.assignment import parse_assignments
from sweep.execution.attempt import Attempt, Terminated
from sweep.execution.trial_group import TrialGroup
from sweep.execution.trial_writer import SupersededError
from sweep.records.record import RecordDamagedError
from trainables.errors import CheckpointTooNew

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
