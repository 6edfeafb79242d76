"""Standard output whose reader may leave before the end, as `head` does."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class Output(Console):
    """A console that says nothing more once nobody reads; what it reports on goes on."""

    def on_broken_pipe(self) -> None:
        """Rich's own way would be to exit."""
        self.quiet = True
        discard()


def on_stderr() -> Console:
    """A console for what people read while standard output is for a program."""
    return Console(stderr=True)


def discard() -> None:
    """Send whatever is still written to standard output nowhere, from Python's buffer too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
