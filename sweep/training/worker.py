"""The Tune trainable: one trial at a time, in an actor that Tune uses again for the next."""

from __future__ import annotations

from typing import Any

from ray import tune

from sweep.training.attempt import Assignment, Attempt


class TrialTrainable(tune.Trainable):
    """Trains an epoch per step. Checkpoints and records are the attempt's; Tune is given none."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take over an assignment; the work itself begins with the first step."""
        self.assignment = Assignment.from_dict(config["assignment"])
        self.attempt: Attempt | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over the next assignment in the same process."""
        if self.attempt is not None:
            self.attempt.release()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch; the result tells the driver what the record now says."""
        if self.attempt is None:
            self.attempt = Attempt(self.assignment)
        self.attempt.step()
        record = self.attempt.record
        epoch = record.epochs[-1] if record.epochs else {}
        return {
            "trial": record.trial_id,
            "epochs": len(record.epochs),
            "test_error": epoch.get("test_error"),
            "epoch_s": (epoch.get("train_s") or 0.0) + (epoch.get("eval_s") or 0.0),
            "outcome": record.outcome.value if record.outcome else None,
            "error": record.error,
            "done": self.attempt.is_done,
        }
