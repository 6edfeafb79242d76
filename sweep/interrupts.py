"""Ctrl-C and SIGTERM: at once, except while trials train.

Python's own KeyboardInterrupt can strike inside an import and leave half a module behind. A sweep
needs no unwinding: records are whole at any moment, and a dead driver's lock is free.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType

from sweep.errors import ExitCode

ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}

SHOW_CURSOR = b"\x1b[?25h"

LONGEST_S = 28.0
"""So long a sweep may take to end in order; Ray waits longer for processes that are gone."""


def install(stop: Callable[[], None] | None = None) -> None:
    """Set both handlers; to be repeated after `ray.init`, which sets one of its own.

    With `stop`, the first signal calls it, for the sweep to end in order; the second ends at once,
    and so does the time that is set for it.
    """
    asked: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if stop is None or len(asked) > 1:
            _end()
        else:
            os.write(2, b"interrupted: trials are being put aside; once more to end at once\n")
            in_vain = threading.Timer(LONGEST_S, _end)
            in_vain.daemon = True
            in_vain.start()
            stop()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


def start_spared(process: BaseProcess) -> None:
    """Start a process that no Ctrl-C ends, which reaches every process of a terminal.

    It is born with the signals blocked: one that has not got as far as ignoring them would be hit.
    """
    # multiprocessing's resource tracker lets them through again when it starts.
    resource_tracker.ensure_running()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _end() -> None:
    sys.stdout.flush()
    if sys.stdout.isatty():
        os.write(1, SHOW_CURSOR)
    os.write(2, b"interrupted; run the same command again to go on\n")
    os._exit(ExitCode.INCOMPLETE)
