"""How far one trial is, as the driver knows it."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.grid.expand import GridTrial
from trainables.spec import Outcome


@dataclass
class TrialState:
    """A trial as the driver sees it. `outcome` is None until it has ended.

    `error` is the traceback of one that ended in an error, `place` the host and device that train
    it, where they are known.
    """

    trial: GridTrial
    outcome: Outcome | None
    epochs: int
    test_error: float | None
    error: str | None = None
    is_running: bool = False
    since: float = 0.0
    place: str | None = None
