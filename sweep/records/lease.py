"""One driver per sweep: a lock in the sweep's folder that says who holds it, and beats.

The driver renews its lock every few seconds. A lock whose process is gone, or that has not been
renewed for two minutes, is taken over; workers and a driver that was suspended see that in it.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from enum import Enum, auto
from threading import Event, Thread

from sweep.errors import RefusedError
from sweep.records.record import SweepFolder, utc_now

LEASE_FILE = "driver.lock"
HEARTBEAT_S = 10.0
DEAD_AFTER_S = 120.0
"""Without a beat for so long a driver counts as dead; hosts' clocks must agree to a minute."""

SETTLE_S = 0.5
"""Of two that take a lock at once, the one that wrote last has it after this."""


class DriverOrders(Enum):
    """What the lock tells the worker of a driver."""

    GO_ON = auto()
    STOP = auto()
    LEAVE = auto()


@dataclass(frozen=True)
class Holder:
    """Who drives a sweep. `started` tells a process from a later one with the same number.

    `beat` is when the lock was last renewed, in seconds since 1970; `token` is this driver's and
    no other's; `stopping` tells its workers to put their trials aside, `stopped` only those of
    the cells that it names.
    """

    host: str
    pid: int
    since: str
    started: str
    beat: float = field(default_factory=time.time)
    token: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    stopping: bool = False
    stopped: tuple[str, ...] = ()

    @property
    def who(self) -> str:
        """`on node7, process 4711, since 2024-05-01T10:00:00+00:00`."""
        return f"on {self.host}, process {self.pid}, since {self.since}"

    @property
    def is_silent(self) -> bool:
        """Whether the lock has not been renewed for too long."""
        return time.time() - self.beat > DEAD_AFTER_S

    def is_dead(self) -> bool:
        """Whether the holder is gone: silent, or a process of this host that is no more."""
        is_gone = self.host == socket.gethostname() and self.started != process_start(self.pid)
        return is_gone or self.is_silent

    def to_json(self) -> bytes:
        """The lock's content."""
        return json.dumps(asdict(self)).encode()


class DriverLease:
    """A driver's hold on its sweep; `lost` says how it has ended against the driver's will."""

    def __init__(self, folder: SweepFolder, holder: Holder) -> None:
        self.folder = folder
        self.holder = holder
        self.lost: str | None = None
        self._wake = Event()
        self._ended = False
        self._thread = Thread(target=self._beat_on, name="lock", daemon=True)
        self._thread.start()

    @property
    def token(self) -> str:
        """What workers know this driver by."""
        return self.holder.token

    def stop(self) -> None:
        """Tell the workers to put their trials aside."""
        if not self.holder.stopping:
            self.holder = replace(self.holder, stopping=True)
            self._wake.set()

    def stop_cells(self, cells: Iterable[str]) -> None:
        """Tell the workers to put the trials of these cells aside, by name."""
        stopped = tuple(cells)
        if stopped != self.holder.stopped:
            self.holder = replace(self.holder, stopped=stopped)
            self._wake.set()

    def beat(self) -> None:
        """Renew the lock, unless it is no longer this driver's."""
        try:
            there = _read(self.folder)
        except FileNotFoundError:
            self.lost = _gone(self.folder)
        except OSError:
            return  # the next beat may come through
        else:
            if there is not None and there.token != self.token:
                self.lost = (
                    f"a `run` on {there.host} (process {there.pid}) has taken the sweep over"
                )
        if not self.lost:
            self.holder = replace(self.holder, beat=time.time())
            with suppress(OSError):
                self.folder.storage.replace(LEASE_FILE, self.holder.to_json())

    def end(self) -> None:
        """Give the lock back."""
        self._ended = True
        self._wake.set()
        self._thread.join()
        there = current_holder(self.folder)
        if there is not None and there.token == self.token:
            with suppress(OSError):
                self.folder.storage.delete(LEASE_FILE)

    def _beat_on(self) -> None:
        while not self._ended:
            self._wake.wait(HEARTBEAT_S)
            self._wake.clear()
            if not self._ended:
                self.beat()


@contextmanager
def hold_lease(folder: SweepFolder) -> Iterator[DriverLease]:
    """Hold the sweep's lock; `RefusedError` names the holder if a living one has it."""
    mine = Holder(socket.gethostname(), os.getpid(), utc_now(), process_start(os.getpid()))
    if not folder.storage.create(LEASE_FILE, mine.to_json()):
        require_no_driver(folder)
        folder.storage.write(LEASE_FILE, mine.to_json())
        time.sleep(SETTLE_S)
    elif not folder.storage.is_local:  # where two may both pass
        time.sleep(SETTLE_S)
    there = current_holder(folder)
    if there is None or there.token != mine.token:
        who = f" on {there.host} (process {there.pid}, since {there.since})" if there else ""
        raise RefusedError(f"another `run` of this sweep has just begun{who}")
    reign = DriverLease(folder, mine)
    try:
        yield reign
    finally:
        reign.end()


def require_no_driver(folder: SweepFolder) -> None:
    """Raise `RefusedError`, which names the holder, if a living one has the sweep's lock."""
    holder = current_holder(folder)
    if holder and not holder.is_dead():
        raise RefusedError(
            f"this sweep is already running on {holder.host} (process {holder.pid}, since "
            f"{holder.since}); if it has died, its lock is free {DEAD_AFTER_S / 60:.0f} minutes "
            f"after its last sign of life"
        )


def current_holder(folder: SweepFolder) -> Holder | None:
    """Who holds the lock, or None if it is free or unreadable."""
    try:
        return _read(folder)
    except OSError:
        return None


def read_orders(folder: SweepFolder, token: str, cell: str = "") -> DriverOrders:
    """What a worker of the driver with this token is to do with a trial of the cell of this name.

    Raises `FileNotFoundError` where there is no lock: the driver has ended, or the storage with it.
    """
    try:
        holder = _read(folder)
    except FileNotFoundError:
        raise FileNotFoundError(_gone(folder)) from None
    except OSError:
        return DriverOrders.GO_ON  # a storage that cannot be read just now
    if holder is None:
        return DriverOrders.GO_ON
    if holder.token != token:
        return DriverOrders.LEAVE
    is_over = holder.stopping or holder.is_silent or cell in holder.stopped
    return DriverOrders.STOP if is_over else DriverOrders.GO_ON


def _gone(folder: SweepFolder) -> str:
    return f"{folder.storage.uri} has disappeared, or its {LEASE_FILE} was deleted"


def _read(folder: SweepFolder) -> Holder | None:
    """The lock's holder; None if the lock says nothing."""
    content = folder.storage.read(LEASE_FILE)
    try:
        plain = json.loads(content)
        return Holder(**{**plain, "stopped": tuple(plain.get("stopped", ()))})
    except (ValueError, TypeError, AttributeError):
        return None


def process_start(pid: int) -> str:
    """When the process began, as the kernel counts; empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    state, started = fields[0], fields[19]
    return "" if state == "Z" else started
