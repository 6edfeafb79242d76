"""What the exporter's process does while the sweep trains.

When MLflow cannot be reached the process tries again, ever more rarely, and tells the driver once.
It outlives a driver that is killed for as long as it takes to show in MLflow that nothing is
running any more.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from sweep.grid.model import Grid
from sweep.planning.trial_states import read_trial_states, sweep_folder
from sweep.process.interrupts import ENDING_SIGNALS
from sweep.records.lease import current_holder
from sweep.tracking.error_reason import explain_error
from sweep.tracking.export import ExportResult, export_all
from sweep.tracking.tracker import Tracker

FINISH = "finish"
"""What the driver sends after the ids of trials, to have the process export all and end."""

RETRY_S = 1.0
LONGEST_PAUSE_S = 30.0

logger = logging.getLogger(__name__)


def serve_exporter(driver: Connection, grid: Grid, driver_pid: int) -> None:
    """Export the trials whose ids the driver sends, until it sends `FINISH` or has ended.

    Args:
        driver: pipe from which ids of trials come and into which `ExportResult`s go.
        grid: the grid whose trials are trained.
        driver_pid: the process whose end ends this one.
    """
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.nice(12)  # the training goes first, on a machine that has no core to spare
    changed: queue.Queue[str] = queue.Queue()
    # It reads on while MLflow keeps this process waiting, so that the driver's pipe is never full.
    threading.Thread(target=_receive_changes, args=(driver, changed), daemon=True).start()
    exports = _ContinuousExport(grid, driver, lambda: os.getppid() == driver_pid)
    while exports.is_driven():
        if _collect_changes(changed, exports.waiting):
            _send(driver, export_all(grid, exports.tracker, exports.is_driven))
            break
        exports.export_if_due()
    if not exports.is_driven():
        exports.mark_runs_killed()


@dataclass
class _ContinuousExport:
    """Exports trials as they change, with pauses after errors.

    Attributes:
        tracker: the connection to MLflow; None before the first one, and after an error.
        waiting: ids of the trials whose records have changed since their export.
        pause_s: seconds until the next try.
        is_reported: whether the driver was told that MLflow cannot be reached.
    """

    grid: Grid
    driver: Connection
    is_driven: Callable[[], bool]
    tracker: Tracker | None = None
    waiting: set[str] = field(default_factory=set)
    pause_s: float = RETRY_S
    not_before: float = 0.0
    is_reported: bool = False

    def export_if_due(self) -> None:
        """Export the waiting trials, if there are any and the pause after an error is over."""
        if not self.waiting or time.monotonic() < self.not_before:
            return
        try:
            self.tracker = self.tracker or Tracker(self.grid)
            self._export_waiting(self.tracker)
            self.pause_s = RETRY_S
            if self.is_reported:
                logger.info("MLflow is reached again")
                _send(self.driver, ExportResult(self.tracker.link, is_final=False))
                self.is_reported = False
        except Exception as error:
            self.tracker = None
            reason = explain_error(error)
            self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)
            logger.warning("no export to MLflow, next try in %.0f s: %s", self.pause_s, reason)
            if not self.is_reported:
                _send(self.driver, ExportResult(error=reason, is_final=False))
                self.is_reported = True
        self.not_before = time.monotonic() + self.pause_s

    def _export_waiting(self, tracker: Tracker) -> None:
        """Export the waiting trials while the driver lives; a next driver exports the rest."""
        for record in sweep_folder(self.grid).load(sorted(self.waiting)).values():
            if not self.is_driven():
                return
            tracker.export([record])
            self.waiting.discard(record.trial_id)
        self.waiting.clear()

    def mark_runs_killed(self) -> None:
        """Set the MLflow runs that a dead driver left running to killed.

        Nothing is done if a new driver runs the sweep.
        """
        folder = sweep_folder(self.grid)
        try:
            tracker = self.tracker or Tracker(self.grid)
            for record in read_trial_states(self.grid).records.values():
                holder = current_holder(folder)
                if holder and not holder.is_dead():
                    return
                if record.trial_id in tracker.runs:  # a second process might create it as well
                    tracker.export([record], ended=True)
        except Exception as error:  # nobody is left to be told; `status` says what to do
            logger.warning("MLflow is not told that the driver is gone: %s", explain_error(error))


def _send(driver: Connection, result: ExportResult) -> None:
    """Send a result to the driver; do nothing if the driver has ended."""
    with suppress(OSError):  # the driver is gone
        driver.send(result)


def _receive_changes(driver: Connection, changed: queue.Queue[str]) -> None:
    """Put the ids that the driver sends into the queue, until the driver has ended."""
    with suppress(EOFError, OSError):
        while True:
            changed.put(driver.recv())
    # Whoever reads the driver's output would wait for the end of this process too.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)


def _collect_changes(changed: queue.Queue[str], waiting: set[str]) -> bool:
    """Move trial ids from the queue to `waiting`, after a short wait for the first one.

    Returns:
        Whether the driver sent `FINISH`.
    """
    try:
        item = changed.get(timeout=RETRY_S)
        while item != FINISH:
            waiting.add(item)
            item = changed.get_nowait()
    except queue.Empty:
        return False
    return True
