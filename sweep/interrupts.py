"""Ctrl-C and SIGTERM: at once, except while trials train.

Python's own KeyboardInterrupt can strike inside an import and leave half a module behind. A sweep
needs no unwinding: records are whole at any moment, and a dead driver's lock is free.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from sweep.errors import ExitCode

SHOW_CURSOR = b"\x1b[?25h"


def install() -> None:
    """Set both handlers; to be repeated after `ray.init`, which sets one of its own.

    While `Tuner.fit` runs, its handler of SIGINT stands in for ours: the first Ctrl-C ends the
    sweep in order, and a second one comes here.
    """
    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _as_interrupt)


def _end(number: int, frame: FrameType | None) -> None:
    sys.stdout.flush()
    if sys.stdout.isatty():
        os.write(1, SHOW_CURSOR)
    os.write(2, b"interrupted; run the same command again to go on\n")
    os._exit(ExitCode.INCOMPLETE)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGINT)
