"""A process of its own that ships records to MLflow while the sweep trains.

Training never waits for it: the driver only names the trials that have changed. When MLflow
cannot be reached it tries again, ever more rarely, and the driver is told once. It outlives a
driver that is killed for as long as it takes to show that nothing is running any more.
"""

from __future__ import annotations

import atexit
import itertools
import math
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from sweep.grid.model import Grid
from sweep.planning.trial_states import read_trial_states, sweep_folder
from sweep.process.interrupts import ENDING, start_without_signals
from sweep.process.logs import LogOptions, configure_logging, log_options
from sweep.records.lease import current_holder
from sweep.tracking.error_reason import explain_error
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.tracker import Tracker

POLL_S = 1.0
LONGEST_PAUSE_S = 30.0
CONNECT_TIMEOUT_S = 5.0
"""For so long a store may be locked or a server restart before the last try is given up."""
MOST_RESTARTS = 3
FINISH = "finish"


@dataclass(frozen=True)
class ExportResult:
    """What became of shipping: where the experiment is, or why it could not be reached.

    `remark` is a line on what a person should know of the store, None where there is nothing.
    """

    place: ExperimentLink | None = None
    num_touched: int = 0
    error: str | None = None
    is_final: bool = True
    remark: str | None = None


class Exporter:
    """The driver's handle on the shipping process."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._restarts_left = MOST_RESTARTS
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        # A pipe and no queues: their semaphores are complained of when a driver is killed.
        self._pipe, theirs = context.Pipe()
        arguments = (self._grid, theirs, os.getpid(), log_options())
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        start_without_signals(self._process)
        theirs.close()
        atexit.register(self._process.kill)  # SIGTERM, multiprocessing's own way, is blocked

    def _send(self, item: str) -> bool:
        """Tell the process, if need be a new one; whether there is one."""
        if not self._process.is_alive() and self._restarts_left:
            self._restarts_left -= 1
            self._start()
        with suppress(OSError):  # it has died just now: the next call notices
            self._pipe.send(item)
        return self._process.is_alive()

    def changed(self, trial_id: str) -> None:
        """Note that a trial's record has changed; returns at once."""
        self._send(trial_id)

    def news(self) -> ExportResult | None:
        """That MLflow cannot be reached (with the error), or can again; once each, else None."""
        return self._answer(0)

    def finish(self, limit_s: float | None = None) -> ExportResult:
        """Ship everything that is left, end the process and say how it went.

        With a limit MLflow gets no more than so many seconds.
        """
        deadline = time.monotonic() + limit_s if limit_s else math.inf
        while self._send(FINISH):
            while self._process.is_alive() or self._pipe.poll():
                answer = self._answer(0.2)
                if answer and answer.is_final:
                    self._process.join()
                    return answer
                if time.monotonic() > deadline:
                    self._process.kill()
                    self._process.join()
                    return ExportResult(error=f"it did not answer within {limit_s:.0f} s")
        return ExportResult(error="the shipping process ended unexpectedly")

    def _answer(self, timeout_s: float) -> ExportResult | None:
        try:
            answer: ExportResult | None = self._pipe.recv() if self._pipe.poll(timeout_s) else None
        except (EOFError, OSError):
            time.sleep(timeout_s)
            return None
        return answer


def export_all(
    grid: Grid, tracker: Tracker | None = None, is_wanted: Callable[[], bool] = lambda: True
) -> ExportResult:
    """Bring MLflow up to all records of a grid that nobody trains at present.

    Between two records it asks whether that is still wanted.
    """
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    try:
        records = read_trial_states(grid).records.values()
    except Exception as error:
        return ExportResult(error=explain_error(error))
    while True:
        try:
            tracker = tracker or Tracker(grid)
            wanted = itertools.takewhile(lambda _: is_wanted(), records)
            num_touched = tracker.ship(wanted, ended=True)
            if is_wanted():
                tracker.review.complete()
            return ExportResult(tracker.place, num_touched, remark=tracker.remark)
        except Exception as error:
            tracker = None
            if time.monotonic() > deadline or not is_wanted():
                return ExportResult(error=explain_error(error))
            time.sleep(POLL_S)


def _serve(grid: Grid, driver: Connection, driver_pid: int, logs: LogOptions) -> None:
    """Run in the shipping process until told to finish, or until the driver is gone."""
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    configure_logging(logs)
    os.nice(12)  # what it does can wait for the training, on a machine that has no core to spare
    changed: queue.Queue[str] = queue.Queue()
    # It reads on while MLflow keeps this process waiting, so that the driver's pipe is never full.
    threading.Thread(target=_listen, args=(driver, changed), daemon=True).start()
    tracker: Tracker | None = None
    waiting: set[str] = set()
    pause, not_before, complained = POLL_S, 0.0, False

    def is_driven() -> bool:
        return os.getppid() == driver_pid

    while is_driven():
        if _drain(changed, waiting):
            _tell(driver, export_all(grid, tracker, is_driven))
            break
        if not waiting or time.monotonic() < not_before:
            continue
        try:
            tracker = tracker or Tracker(grid)
            _ship(grid, tracker, waiting, is_driven)
            pause = POLL_S
            if complained:
                _tell(driver, ExportResult(tracker.place, is_final=False))
                complained = False
        except Exception as error:
            tracker = None
            if not complained:
                _tell(driver, ExportResult(error=explain_error(error), is_final=False))
                complained = True
            pause = min(2 * pause, LONGEST_PAUSE_S)
        not_before = time.monotonic() + pause
    if not is_driven():
        _close(grid, tracker)


def _tell(driver: Connection, answer: ExportResult) -> None:
    with suppress(OSError):  # the driver is gone
        driver.send(answer)


def _listen(driver: Connection, changed: queue.Queue[str]) -> None:
    with suppress(EOFError, OSError):  # the driver is gone
        while True:
            changed.put(driver.recv())
    # Whoever reads the driver's output would wait for the end of this process too.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _ship(grid: Grid, tracker: Tracker, waiting: set[str], is_driven: Callable[[], bool]) -> None:
    """Ship what waits, while there is a driver: its successor's process does it otherwise."""
    for record in sweep_folder(grid).load(sorted(waiting)).values():
        if not is_driven():
            return
        tracker.ship([record])
        waiting.discard(record.trial_id)
    waiting.clear()


def _close(grid: Grid, tracker: Tracker | None) -> None:
    """Show what a dead driver left running as killed, unless another one goes on with it."""
    folder = sweep_folder(grid)
    try:
        tracker = tracker or Tracker(grid)
        for record in read_trial_states(grid).records.values():
            holder = current_holder(folder)
            if holder and not holder.is_dead():
                return
            if record.trial_id in tracker.runs:  # a second process might create it as well
                tracker.ship([record], ended=True)
    except Exception:
        return  # nobody is left to be told; `status` says what to do


def _drain(changed: queue.Queue[str], waiting: set[str]) -> bool:
    """Collect what has changed; waits a little for the first. Whether to finish."""
    try:
        item = changed.get(timeout=POLL_S)
        while item != FINISH:
            waiting.add(item)
            item = changed.get_nowait()
    except queue.Empty:
        return False
    return True
