"""Consoles whose reader or terminal may go away before the end, as `head` does."""

from __future__ import annotations

import errno
import os
import sys
from typing import IO, Any, cast

from rich.console import Console


class TerminalSafeStdout:
    """Standard output that discards what is printed once its terminal was closed."""

    def write(self, text: str) -> int:
        """Write as `sys.stdout.write`; discard everything once the terminal was closed."""
        try:
            return sys.stdout.write(text)
        except OSError as error:
            _discard_if_terminal_gone(error)
            return len(text)

    def flush(self) -> None:
        """Flush as `sys.stdout.flush`."""
        try:
            sys.stdout.flush()
        except OSError as error:
            _discard_if_terminal_gone(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


class PipeSafeConsole(Console):
    """A console that discards its output, without an error, when the reader of a pipe has ended."""

    def __init__(self) -> None:
        super().__init__(file=cast(IO[str], TerminalSafeStdout()))

    def on_broken_pipe(self) -> None:
        """Discard all further output; rich itself would end the process."""
        self.quiet = True
        discard_stdout()


def _discard_if_terminal_gone(error: OSError) -> None:
    """Discard all further output if the error says that the terminal was closed; else raise it."""
    if error.errno != errno.EIO:
        raise error
    discard_stdout()


def stderr_console() -> Console:
    """Return a console on standard error, for people, while standard output is for a program."""
    return Console(stderr=True)


def discard_stdout() -> None:
    """Redirect standard output, and what Python has buffered of it, to the null device."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
