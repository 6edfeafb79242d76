"""A process of its own that ships records to MLflow while the sweep trains.

Training never waits for it: the driver only names the trials that have changed. When MLflow
cannot be reached it tries again, ever more rarely, and the driver is told once.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from dataclasses import dataclass
from typing import Any

from sweep.grid.layout import Grid
from sweep.plan import folder_of, make_plan
from sweep.tracking.tracker import Place, Tracker

POLL_S = 1.0
LONGEST_PAUSE_S = 30.0
FINISH = "finish"


@dataclass(frozen=True)
class Shipped:
    """What became of shipping: where the experiment is, or why it could not be reached."""

    place: Place | None = None
    num_touched: int = 0
    error: str | None = None
    is_final: bool = True


class Shipper:
    """The driver's handle on the shipping process."""

    def __init__(self, grid: Grid) -> None:
        context = multiprocessing.get_context("spawn")
        self._changed: Any = context.Queue()
        self._answers: Any = context.Queue()
        arguments = (grid, self._changed, self._answers, os.getpid())
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()

    def changed(self, trial_id: str) -> None:
        """Note that a trial's record has changed; returns at once."""
        self._changed.put(trial_id)

    def complaint(self) -> str | None:
        """The reason why MLflow cannot be reached, once, when it has become known."""
        try:
            answer: Shipped = self._answers.get_nowait()
        except queue.Empty:
            return None
        return answer.error

    def finish(self) -> Shipped:
        """Ship everything that is left, end the process and say how it went."""
        self._changed.put(FINISH)
        while True:
            try:
                answer: Shipped = self._answers.get(timeout=0.2)
            except queue.Empty:
                if self._process.is_alive():
                    continue
                return Shipped(error="the shipping process ended unexpectedly")
            if answer.is_final:
                self._process.join()
                return answer


def ship_all(grid: Grid, tracker: Tracker | None = None) -> Shipped:
    """Bring MLflow up to all records of a grid that nobody trains at present."""
    try:
        records = make_plan(grid).records.values()
        tracker = tracker or Tracker(grid)
        return Shipped(tracker.place, tracker.ship(records, ended=True))
    except Exception as error:
        return Shipped(error=reason(error))


def reason(error: Exception) -> str:
    """An error of MLflow's in one line."""
    lines = str(error).strip().splitlines() or [""]
    text = f"{type(error).__name__}: {lines[0]}"
    return text if len(text) <= 300 else text[:297] + "..."


def _serve(grid: Grid, changed: Any, answers: Any, driver: int) -> None:
    """Run in the shipping process until told to finish, or until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)
    folder = folder_of(grid)
    tracker: Tracker | None = None
    waiting: set[str] = set()
    pause, not_before, complained = POLL_S, 0.0, False
    while os.getppid() == driver:
        if _drain(changed, waiting):
            answers.put(ship_all(grid, tracker))
            return
        if not waiting or time.monotonic() < not_before:
            continue
        try:
            tracker = tracker or Tracker(grid)
            tracker.ship(folder.load(sorted(waiting)).values())
            waiting.clear()
            pause = POLL_S
        except Exception as error:
            tracker = None
            if not complained:
                answers.put(Shipped(error=reason(error), is_final=False))
                complained = True
            pause = min(2 * pause, LONGEST_PAUSE_S)
        not_before = time.monotonic() + pause


def _drain(changed: Any, waiting: set[str]) -> bool:
    """Collect what has changed; waits a little for the first. Whether to finish."""
    try:
        item = changed.get(timeout=POLL_S)
        while item != FINISH:
            waiting.add(item)
            item = changed.get_nowait()
    except queue.Empty:
        return False
    return True
