"""Every process that descends from one, found by a mark in its environment.

Ray's processes outlive their parents and leave their session; the environment they keep.
"""

from __future__ import annotations

import contextlib
import time
import uuid

import psutil

MARK = "SWEEP_TEST_MARK"


def new_mark() -> dict[str, str]:
    """An environment variable that marks a process and all that descend from it."""
    return {MARK: uuid.uuid4().hex}


def marked(mark: dict[str, str]) -> list[psutil.Process]:
    """The living processes that carry the mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_alive = process.status() != psutil.STATUS_ZOMBIE
            if is_alive and process.environ().get(MARK) == mark[MARK]:
                found.append(process)
    return found


def command(process: psutil.Process) -> str:
    """The command line, or what a process has called itself; empty if it has gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill(process: psutil.Process) -> None:
    """SIGKILL, unless it has gone."""
    with contextlib.suppress(psutil.Error):
        process.kill()


def kill_marked(mark: dict[str, str]) -> int:
    """Kill until none is left; returns how many there were."""
    num_killed = 0
    while found := marked(mark):
        num_killed += len(found)
        for process in found:
            kill(process)
        time.sleep(0.1)
    return num_killed


def left_after(mark: dict[str, str], seconds: float) -> list[str]:
    """The commands of those that have not ended by themselves within so many seconds."""
    deadline = time.monotonic() + seconds
    while (found := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return [command(process) for process in found]
