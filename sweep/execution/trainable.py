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

from sweep.execution.assignment import assignments_of
from sweep.execution.attempt import Attempt, Terminated
from sweep.execution.trial_group import TrialGroup
from sweep.execution.trial_writer import SupersededError
from sweep.records.record import RecordDamagedError
from trainables.errors import CheckpointTooNew

REPORT_EVERY_S = 1.0
REPORT_SHARE = 0.005
"""The driver is told of epochs this often at most, and in no more of the time than this share."""


class TrialTrainable(tune.Trainable):
    """Trains an epoch or some per step. Tune is given no checkpoints: records hold the truth."""

    former: TrialGroup | None = None
    """What was trained before, of which a last checkpoint may still be on its way to the disk."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take over assignments; the work itself begins with the first step."""
        signal.signal(signal.SIGTERM, _terminate)
        logging.captureWarnings(True)  # they go into the trial's log
        self.assignments = assignments_of(config)
        self.width = config["width"]
        self.group: TrialGroup | None = None
        self.told_at: float | None = None
        self.tell_every_s = REPORT_EVERY_S

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over the next assignments in the same process."""
        if self.group is not None:
            self.group.release()
        freeze_imported_objects()
        self.former = self.group
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Wait for the last trial's weights. Its record is on the disk, should they not be."""
        if self.group is not None:
            with suppress(OSError):
                self.group.settle()
            self.group.settle_logs()

    def step(self) -> dict[str, Any]:
        """Train for a second at least, to an epoch's end; tells what the records now say.

        While the driver takes a result in, the worker stands still: short epochs are told together.
        """
        told: dict[str, Attempt] = {}
        start, broken = time.monotonic(), None
        if self.told_at is not None:
            self.tell_every_s = max(REPORT_EVERY_S, (start - self.told_at) / REPORT_SHARE)
        try:
            if self.group is None:
                self.group = TrialGroup(self.assignments, self.width)
            while not self.group.is_done:
                told |= {attempt.record.trial_id: attempt for attempt in self.group.step()}
                if time.monotonic() >= start + self.tell_every_s:
                    break
            for attempt in told.values():
                attempt.commits.tell()
            if self.former is not None:
                self.former.settle()
                self.former = None
        except (OSError, RecordDamagedError, CheckpointTooNew, SupersededError) as error:
            # No other worker fares better: the driver stops the sweep and says why.
            broken = format_storage_error(error)
            told = {key: attempt for key, attempt in told.items() if attempt.commits.is_reported}
        self.told_at = time.monotonic()
        return {
            "trials": {trial_id: describe_attempt(attempt) for trial_id, attempt in told.items()},
            "broken": broken,
            "done": broken is not None or (self.group is not None and self.group.is_done),
        }


def describe_attempt(attempt: Attempt) -> dict[str, Any]:
    """What the driver is told of a trial, as plain values."""
    record = attempt.record
    epoch = record.epochs[-1] if record.epochs else {}
    return {
        "epochs": len(record.epochs),
        "test_error": epoch.get("test_error"),
        "epoch_s": (epoch.get("train_s") or 0.0) + (epoch.get("eval_s") or 0.0),
        "outcome": record.outcome.value if record.outcome else None,
        "error": record.error,
        "stopped_for": attempt.stopped_for,
        "notices": attempt.notices,
        "place": f"{attempt.entry.get('host')} {attempt.assignment.device}",
    }


def format_storage_error(error: Exception) -> str:
    """What went wrong on the storage: `/runs/small: No space left on device`."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


@lru_cache(maxsize=1)
def freeze_imported_objects() -> None:
    """Have the garbage collector look no more, from the second trial on, at what is imported.

    To go through hundreds of thousands of objects that stay takes it 50 ms, each time.
    """
    gc.freeze()


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(1)
