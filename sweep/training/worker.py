"""The Tune trainable: one trial at a time, in an actor that Tune uses again for the next."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from ray import tune

from sweep.records.record import RecordDamagedError
from sweep.training.assignment import Assignment
from sweep.training.attempt import Attempt, SupersededError, Terminated
from trainables.errors import CheckpointTooNew


class TrialTrainable(tune.Trainable):
    """Trains an epoch per step. Checkpoints and records are the attempt's; Tune is given none."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take over an assignment; the work itself begins with the first step."""
        signal.signal(signal.SIGTERM, _terminate)
        self.assignment = Assignment.from_dict(config["assignment"])
        self.attempt: Attempt | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over the next assignment in the same process."""
        if self.attempt is not None:
            self.attempt.release()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train to the epoch's end; the result tells the driver what the record now says."""
        try:
            if self.attempt is None:
                self.attempt = Attempt(self.assignment)
            self.attempt.step()
        except (OSError, RecordDamagedError, CheckpointTooNew, SupersededError) as error:
            # No other worker fares better: the driver stops the sweep and says why.
            return {**self._result(), "broken": one_line(error), "done": True}
        return {**self._result(), "done": self.attempt.is_done}

    def _result(self) -> dict[str, Any]:
        attempt = self.attempt
        record = attempt.record if attempt else None
        epoch = record.epochs[-1] if record and record.epochs else {}
        return {
            "epochs": len(record.epochs) if record else 0,
            "test_error": epoch.get("test_error"),
            "epoch_s": (epoch.get("train_s") or 0.0) + (epoch.get("eval_s") or 0.0),
            "outcome": record.outcome.value if record and record.outcome else None,
            "error": record.error if record else None,
            "stopped_for": attempt.stopped_for if attempt else None,
            "notices": attempt.notices if attempt else [],
            "broken": None,
        }


def one_line(error: Exception) -> str:
    """What went wrong on the storage: `/runs/small: No space left on device`."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(1)
