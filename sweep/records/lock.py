"""One driver per sweep: a lock in the sweep's folder that says who holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from sweep.errors import RefusedError
from sweep.records.record import SweepFolder, now

LOCK = "driver.lock"


@dataclass(frozen=True)
class Holder:
    """Who drives a sweep. `started` tells a process from a later one with the same number."""

    host: str
    pid: int
    since: str
    started: str

    def is_dead(self) -> bool:
        """Whether the holder is known to be gone; of another host's process nothing is known."""
        return self.host == socket.gethostname() and self.started != _started(self.pid)


@contextmanager
def driving(folder: SweepFolder) -> Iterator[None]:
    """Hold the sweep's lock; `RefusedError` names the holder if a living one has it."""
    mine = Holder(socket.gethostname(), os.getpid(), now(), _started(os.getpid()))
    content = json.dumps(asdict(mine)).encode()
    if not folder.storage.create(LOCK, content):
        holder = current_holder(folder)
        if holder and not holder.is_dead():
            place = f"{folder.storage.uri}/{LOCK}"
            raise RefusedError(
                f"this sweep is already running on {holder.host} (process {holder.pid}, since "
                f"{holder.since}); if that machine is gone, delete {place}"
            )
        folder.storage.write(LOCK, content)
    if current_holder(folder) != mine:
        raise RefusedError("another `run` of this sweep has just begun")
    try:
        yield
    finally:
        if current_holder(folder) == mine:
            folder.storage.delete(LOCK)


def current_holder(folder: SweepFolder) -> Holder | None:
    """Who holds the lock, or None if it is free or unreadable."""
    try:
        return Holder(**json.loads(folder.storage.read(LOCK)))
    except (OSError, ValueError, TypeError):
        return None


def _started(pid: int) -> str:
    """When the process began, as the kernel counts; empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    state, started = fields[0], fields[19]
    return "" if state == "Z" else started
