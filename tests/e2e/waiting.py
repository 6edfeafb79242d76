"""Waiting for what another process does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

LONGEST_S = 180


def until(
    holds: Callable[[], object],
    process: subprocess.Popen[str] | None = None,
    longest_s: float = LONGEST_S,
) -> None:
    """Wait until it holds; fails if it takes far too long, or if the process has ended before."""
    deadline = time.monotonic() + longest_s
    while not holds():
        ended = process is not None and process.poll() is not None
        if process is not None and ended and not holds():
            raise AssertionError(f"it ended with {process.returncode}: {process.communicate()[0]}")
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
