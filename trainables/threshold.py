"""The time at which the test error first fell to a declared threshold and stayed there."""

from __future__ import annotations

from collections.abc import Mapping

HELD_EVALUATIONS = 3
"""Consecutive evaluations at or below the threshold after which it counts as reached; the first of
them gives the time."""


class TimeToThreshold:
    """Records the epochs, updates and seconds until the test error reaches a threshold.

    Args:
        threshold: test error in percent; None records nothing.
    """

    def __init__(self, threshold: float | None) -> None:
        self.threshold = threshold
        self.num_held = 0
        self.elapsed_s = 0.0
        self.first: dict[str, float] = {}

    def observe(self, *, epoch: int, num_updates: int, train_s: float, test_error: float) -> None:
        """Add the evaluation after an epoch."""
        if self.threshold is None or self.num_held >= HELD_EVALUATIONS:
            return
        self.elapsed_s += train_s
        if test_error > self.threshold:
            self.num_held = 0
            return
        if self.num_held == 0:
            self.first = {
                "epochs_to_threshold": epoch,
                "updates_to_threshold": num_updates,
                "seconds_to_threshold": self.elapsed_s,
            }
        self.num_held += 1

    def metrics(self) -> dict[str, float]:
        """Return the three times if the threshold has been reached, else nothing."""
        return dict(self.first) if self.num_held >= HELD_EVALUATIONS else {}

    def state_dict(self) -> dict[str, float]:
        """Return the state from which `load_state_dict` continues between two epochs."""
        return {"num_held": self.num_held, "elapsed_s": self.elapsed_s, **self.first}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Continue from a state that `state_dict` returned."""
        first = dict(state)
        self.num_held, self.elapsed_s = int(first.pop("num_held")), first.pop("elapsed_s")
        self.first = first
