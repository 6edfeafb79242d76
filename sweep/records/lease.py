"""One driver per sweep: a lease file in the sweep's folder, which names its holder.

The driver renews its lease by a heartbeat every few seconds. A lease whose process is gone, or that
has not been renewed for two minutes, may be taken over; the former driver and its workers read in
the file that this has happened.
"""

from __future__ import annotations

import json
import logging
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
"""A driver without a heartbeat for so long is dead; hosts' clocks must agree to a minute."""

SETTLE_S = 0.5
"""Seconds after which a lease belongs to whoever wrote it last, of two that took it at once."""


logger = logging.getLogger(__name__)


class DriverOrders(Enum):
    """What the lease orders a worker to do.

    GO_ON: train on. STOP: suspend the trial. SUPERSEDED: another driver has the sweep; write
    nothing more.
    """

    GO_ON = auto()
    STOP = auto()
    SUPERSEDED = auto()


@dataclass(frozen=True)
class Holder:
    """The driver that holds a sweep's lease, as the lease file describes it.

    Attributes:
        host: name of the driver's machine.
        pid: the driver's process.
        since: when the driver took the lease, UTC, ISO 8601.
        started: when the process started, which tells it from a later one with the same number.
        beat: when the lease was last renewed, in seconds since 1970.
        token: names this driver among all.
        stopping: whether its workers are to suspend their trials.
        stopped: names of the cells whose trials are to be suspended in any case.
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
        """Description of the driver: `on node7, process 4711, since 2024-05-01T10:00:00+00:00`."""
        return f"on {self.host}, process {self.pid}, since {self.since}"

    @property
    def is_silent(self) -> bool:
        """Whether the last heartbeat is older than `DEAD_AFTER_S`."""
        return time.time() - self.beat > DEAD_AFTER_S

    def is_dead(self) -> bool:
        """Whether the driver's heartbeat has stopped, or its process on this host has ended."""
        is_gone = self.host == socket.gethostname() and self.started != process_start(self.pid)
        return is_gone or self.is_silent

    def to_json(self) -> bytes:
        """Return the content of the lease file."""
        return json.dumps(asdict(self)).encode()


class DriverLease:
    """The lease of this process on a sweep, renewed by a thread until `release`.

    Attributes:
        holder: this process, as the lease file describes it.
        lost: why this process has lost the lease; None while it has not.
    """

    def __init__(self, folder: SweepFolder, holder: Holder) -> None:
        self.folder = folder
        self.holder = holder
        self.lost: str | None = None
        self._wake = Event()
        self._ended = False
        self._thread = Thread(target=self._renew_until_released, name="lease", daemon=True)
        self._thread.start()

    @property
    def token(self) -> str:
        """The token by which workers know this driver."""
        return self.holder.token

    def stop(self) -> None:
        """Order the workers, through the lease file, to suspend their trials."""
        if not self.holder.stopping:
            self.holder = replace(self.holder, stopping=True)
            self._wake.set()

    def stop_cells(self, cells: Iterable[str]) -> None:
        """Order the workers to suspend the trials of the cells with these names."""
        stopped = tuple(cells)
        if stopped != self.holder.stopped:
            self.holder = replace(self.holder, stopped=stopped)
            self._wake.set()

    def renew(self) -> None:
        """Write a heartbeat into the lease file; set `lost` if another driver holds the lease."""
        try:
            current = _read_holder(self.folder)
        except FileNotFoundError:
            self._mark_lost(_describe_loss(self.folder))
        except OSError as error:
            logger.warning("the lease cannot be read, next heartbeat soon: %s", error)
            return
        else:
            if current is not None and current.token != self.token:
                self._mark_lost(
                    f"a `run` on {current.host} (process {current.pid}) has taken the sweep over"
                )
        if not self.lost:
            self.holder = replace(self.holder, beat=time.time())
            try:
                self.folder.storage.replace(LEASE_FILE, self.holder.to_json())
            except OSError as error:
                logger.warning("the lease cannot be renewed, next heartbeat soon: %s", error)

    def _mark_lost(self, why: str) -> None:
        """Set why the lease was lost, and log it the first time."""
        if self.lost is None:
            logger.error("the lease is lost: %s", why)
        self.lost = why

    def release(self) -> None:
        """Stop renewing the lease, and delete its file if it is still this process's."""
        self._ended = True
        self._wake.set()
        self._thread.join()
        current = current_holder(self.folder)
        if current is not None and current.token == self.token:
            with suppress(OSError):
                self.folder.storage.delete(LEASE_FILE)

    def _renew_until_released(self) -> None:
        """Renew the lease every `HEARTBEAT_S` seconds until it is released."""
        while not self._ended:
            self._wake.wait(HEARTBEAT_S)
            self._wake.clear()
            if not self._ended:
                self.renew()


@contextmanager
def hold_lease(folder: SweepFolder) -> Iterator[DriverLease]:
    """Hold the lease of a sweep within the block.

    Raises:
        RefusedError: a living driver has the lease; the message names it.
    """
    mine = Holder(socket.gethostname(), os.getpid(), utc_now(), process_start(os.getpid()))
    if not folder.storage.create(LEASE_FILE, mine.to_json()):
        require_no_driver(folder)
        logger.warning("the lease of a driver that has died is taken over")
        folder.storage.write(LEASE_FILE, mine.to_json())
        time.sleep(SETTLE_S)
    elif not folder.storage.is_local:  # where two may both pass
        time.sleep(SETTLE_S)
    current = current_holder(folder)
    if current is None or current.token != mine.token:
        where = (
            f" on {current.host} (process {current.pid}, since {current.since})" if current else ""
        )
        raise RefusedError(f"another `run` of this sweep has just begun{where}")
    lease = DriverLease(folder, mine)
    logger.info("holding the lease of %s", folder.storage.uri)
    try:
        yield lease
    finally:
        lease.release()


def require_no_driver(folder: SweepFolder) -> None:
    """Raise `RefusedError`, which names the holder, if a living driver has the sweep's lease."""
    holder = current_holder(folder)
    if holder and not holder.is_dead():
        raise RefusedError(
            f"this sweep is already running on {holder.host} (process {holder.pid}, since "
            f"{holder.since}); if it has died, its lock is free {DEAD_AFTER_S / 60:.0f} minutes "
            f"after its last sign of life"
        )


def current_holder(folder: SweepFolder) -> Holder | None:
    """Return the holder of the lease; None if there is none, or the file cannot be read."""
    try:
        return _read_holder(folder)
    except OSError:
        return None


def read_orders(folder: SweepFolder, token: str, cell: str = "") -> DriverOrders:
    """Return what the driver's lease orders a worker to do.

    Args:
        folder: the folder of the sweep.
        token: the worker's driver.
        cell: name of the cell of the worker's trial.

    Raises:
        FileNotFoundError: there is no lease: the driver has ended, or its storage is gone.
    """
    try:
        holder = _read_holder(folder)
    except FileNotFoundError:
        raise FileNotFoundError(_describe_loss(folder)) from None
    except OSError:
        return DriverOrders.GO_ON  # the storage may be read again in a moment
    if holder is None:
        return DriverOrders.GO_ON
    if holder.token != token:
        return DriverOrders.SUPERSEDED
    is_over = holder.stopping or holder.is_silent or cell in holder.stopped
    return DriverOrders.STOP if is_over else DriverOrders.GO_ON


def _describe_loss(folder: SweepFolder) -> str:
    """Return the message for a lease file that has disappeared."""
    return f"{folder.storage.uri} has disappeared, or its {LEASE_FILE} was deleted"


def _read_holder(folder: SweepFolder) -> Holder | None:
    """Return the holder that the lease file describes; None if the file describes none."""
    content = folder.storage.read(LEASE_FILE)
    try:
        data = json.loads(content)
        return Holder(**{**data, "stopped": tuple(data.get("stopped", ()))})
    except (ValueError, TypeError, AttributeError):
        return None


def process_start(pid: int) -> str:
    """Return when a process started, in the kernel's clock ticks; empty if it does not run."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    state, started = fields[0], fields[19]
    return "" if state == "Z" else started
