"""How far one trial is, as the driver knows it."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.grid.expand import GridTrial
from trainables.spec import Outcome


@dataclass
class TrialState:
    """The state of one trial, as the driver knows it.

    Attributes:
        trial: the trial and its names in the grid.
        outcome: None until the trial has ended.
        epochs: how many epochs are recorded.
        test_error: of the last epoch, in percent.
        error: the traceback of a trial that ended in an error.
        is_running: whether a worker trains the trial.
        since: when the worker took the trial (`time.monotonic`).
        place: host and device that train the trial, where they are known.
    """

    trial: GridTrial
    outcome: Outcome | None
    epochs: int
    test_error: float | None
    error: str | None = None
    is_running: bool = False
    since: float = 0.0
    place: str | None = None
