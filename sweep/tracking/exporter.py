"""The driver's handle on the process that exports records to MLflow while the sweep trains.

Training never waits for MLflow: the driver only names the trials whose records have changed.
"""

from __future__ import annotations

import logging
import math
import os
import time

from sweep.grid.model import Grid
from sweep.process.child_process import ChildProcess
from sweep.tracking.export import ExportResult
from sweep.tracking.exporter_process import FINISH, serve_exporter

MOST_RESTARTS = 3
ANSWER_POLL_S = 0.2

logger = logging.getLogger(__name__)


class Exporter:
    """Exports the records of a grid from a process of its own, which is started at once.

    A process that dies is replaced, at most `MOST_RESTARTS` times.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._restarts_left = MOST_RESTARTS
        self._child = self._start_child()

    def _start_child(self) -> ChildProcess[ExportResult]:
        """Return a new process that exports the grid's records."""
        return ChildProcess(serve_exporter, self._grid, os.getpid())

    def _send(self, item: str) -> bool:
        """Send an item to the exporting process, restarted if dead; return whether one runs."""
        if not self._child.is_alive and self._restarts_left:
            self._restarts_left -= 1
            logger.warning("the exporter's process has died (%d)", self._child.wait())
            self._child.kill()
            self._child = self._start_child()
        self._child.send(item)  # a process that dies just now is noticed by the next call
        return self._child.is_alive

    def notify_change(self, trial_id: str) -> None:
        """Tell the exporting process that a trial's record has changed; return at once."""
        self._send(trial_id)

    def poll_reachability(self) -> ExportResult | None:
        """Return a result if MLflow has become unreachable or reachable again, else None.

        Each change is returned once; the result of an unreachable MLflow has the error.
        """
        try:
            return self._child.receive() if self._child.has_answer() else None
        except (EOFError, OSError):  # the process has died: the next change starts another one
            return None

    def finish(self, limit_s: float | None = None) -> ExportResult:
        """Export all records that are left, end the process and return the result.

        Args:
            limit_s: seconds after which the process is ended in any case; None: no limit.
        """
        deadline = time.monotonic() + limit_s if limit_s else math.inf
        while self._send(FINISH):
            result = self._wait_for_final_result(deadline)
            if result:
                self._child.wait()
            self._child.kill()
            if result:
                return result
            if time.monotonic() > deadline:
                return ExportResult(error=f"it did not answer within {limit_s:.0f} s")
        return ExportResult(error="the exporter's process ended unexpectedly")

    def _wait_for_final_result(self, deadline: float) -> ExportResult | None:
        """Return the final result; None if the process dies before, or does not answer in time."""
        while time.monotonic() <= deadline:
            try:
                if self._child.has_answer(ANSWER_POLL_S):
                    result = self._child.receive()
                    if result.is_final:
                        return result
            except (EOFError, OSError):
                return None
        return None
