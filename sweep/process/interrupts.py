"""Ctrl-C, SIGTERM and a terminal that goes away (SIGHUP): at once, except while trials train.

Python's own KeyboardInterrupt can strike inside an import and leave half a module behind. A sweep
needs no unwinding: records are whole at any moment, and a dead driver's lock is free.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from sweep.errors import ExitCode

ENDING_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}

SHOW_CURSOR = b"\x1b[?25h"

LONGEST_STOP_S = 28.0
"""Seconds after which an interrupted sweep ends in any case; Ray may wait longer."""


_command_line_handlers: list[object] = []
"""Handlers that `install_handlers` has set: they end the process."""


class StopSignals:
    """Handlers of the signals that end a process, which stop a running sweep in order instead.

    In a command's process, where `install_handlers` has been called, the second signal ends the
    process. In any other process, such as a notebook's, the second signal does what it did before
    the sweep: for Ctrl-C Python raises `KeyboardInterrupt`.
    """

    def __init__(self) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        self._former = (
            {number: signal.getsignal(number) for number in ENDING_SIGNALS} if is_main else {}
        )
        self._is_command = self._former.get(signal.SIGINT) in _command_line_handlers

    def keep_command_handlers(self) -> None:
        """Set a command's handlers again, after Ray has set one of its own."""
        if self._is_command:
            install_handlers()

    def stop_with(self, stop: Callable[[], None]) -> None:
        """Call `stop` at the first signal from now on; outside the main thread do nothing."""
        if self._is_command:
            install_handlers(stop)
            return
        asked: list[int] = []

        def handle(number: int, frame: FrameType | None) -> None:
            """Call `stop` at the first signal; at the second use the old handlers."""
            asked.append(number)
            if len(asked) == 1:
                stop()
            else:
                self.restore()
                signal.raise_signal(number)

        for number, former in self._former.items():
            if former is not signal.SIG_IGN:
                signal.signal(number, handle)

    def restore(self) -> None:
        """Set the signal handlers that were in force before the sweep."""
        if self._is_command:
            install_handlers()
            return
        for number, former in self._former.items():
            if former is not None:  # None: set by code that is not Python's
                signal.signal(number, former)


def install_handlers(stop: Callable[[], None] | None = None) -> None:
    """Set the handlers of SIGINT, SIGTERM and SIGHUP; again after `ray.init`, which sets its own.

    A SIGHUP that was ignored when this process was started, as by `nohup`, stays ignored.

    With `stop`, the first signal calls `stop`, which ends the sweep in order; the second signal
    ends the process at once, and so does the end of a time limit after the first.
    """
    asked: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        """Call `stop` at the first signal, with a time limit; end the process at the second one."""
        asked.append(number)
        detach_from_closed_terminal()
        if stop is None or len(asked) > 1:
            _exit_now()
        else:
            _write_to_stderr(b"interrupted: trials are being put aside; once more to end at once\n")
            in_vain = threading.Timer(LONGEST_STOP_S, _exit_now)
            in_vain.daemon = True
            in_vain.start()
            stop()

    _command_line_handlers.append(handle)
    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handle)


@contextmanager
def hangups_blocked_for_children() -> Iterator[None]:
    """Within the block, new processes start with SIGHUP blocked, which a closed terminal sends.

    Child processes inherit the blocked signal. A SIGHUP that arrives during the block reaches this
    process at the end of the block.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def detach_from_closed_terminal() -> None:
    """Redirect output to the null device where its terminal was closed: each write would raise."""
    for number in (1, 2):
        try:
            termios.tcgetattr(number)
        except termios.error as error:
            if error.args[0] == errno.EIO:  # no terminal at all would be ENOTTY
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)


def _write_to_stderr(line: bytes) -> None:
    """Write a line to standard error; ignore a closed stream."""
    with suppress(OSError):  # nobody is left to read it
        os.write(2, line)


def _exit_now() -> None:
    """Print how to continue, and end the process at once."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        if sys.stdout.isatty():
            os.write(1, SHOW_CURSOR)
    _write_to_stderr(b"interrupted; run the same command again to go on\n")
    os._exit(ExitCode.INCOMPLETE)
