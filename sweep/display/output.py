"""Standard output whose reader may leave before the end, as `head` does."""

from __future__ import annotations

import errno
import os
import sys
from typing import IO, Any, cast

from rich.console import Console


class ToTheEnd:
    """Standard output, written to without an error where its terminal has gone away."""

    def write(self, text: str) -> int:
        """As `sys.stdout.write`; of a terminal that has gone, nothing is asked any more."""
        try:
            return sys.stdout.write(text)
        except OSError as error:
            _give_up_on_terminal(error)
            return len(text)

    def flush(self) -> None:
        """As `sys.stdout.flush`."""
        try:
            sys.stdout.flush()
        except OSError as error:
            _give_up_on_terminal(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


class PipeSafeConsole(Console):
    """A console that says nothing more once nobody reads; what it reports on goes on."""

    def __init__(self) -> None:
        super().__init__(file=cast(IO[str], ToTheEnd()))

    def on_broken_pipe(self) -> None:
        """Rich's own way would be to exit."""
        self.quiet = True
        discard_stdout()


def _give_up_on_terminal(error: OSError) -> None:
    if error.errno != errno.EIO:
        raise error
    discard_stdout()


def stderr_console() -> Console:
    """A console for what people read while standard output is for a program."""
    return Console(stderr=True)


def discard_stdout() -> None:
    """Send whatever is still written to standard output nowhere, from Python's buffer too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
