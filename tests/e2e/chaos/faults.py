"""What can happen to a running sweep."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from marked_processes import command, kill, kill_marked, marked

if TYPE_CHECKING:
    from chaos.disturbed_sweep import DisturbedSweep

Fault = Callable[["DisturbedSweep"], None]


def _kill_one(sweep: DisturbedSweep, name: str, *words: str) -> None:
    found = [p for p in marked(sweep.mark) if any(word in command(p) for word in words)]
    if found:
        kill(sweep.dice.choice(sorted(found, key=lambda process: process.pid)))
        sweep.verdict.kills[f"kill -9 {name}"] += 1


def driver(sweep: DisturbedSweep) -> None:
    """The out-of-memory killer likes the largest process."""
    sweep.send(signal.SIGKILL)
    sweep.verdict.kills["kill -9 driver"] += 1


def worker(sweep: DisturbedSweep) -> None:
    """A process that trains a trial."""
    _kill_one(sweep, "worker", "ray::")


def raylet(sweep: DisturbedSweep) -> None:
    """Ray's own process on this machine."""
    _kill_one(sweep, "raylet", "raylet/raylet")


def exporter(sweep: DisturbedSweep) -> None:
    """The process that exports to MLflow."""
    _kill_one(sweep, "exporter", "multiprocessing.spawn")


def everything(sweep: DisturbedSweep) -> None:
    """As a power cut does."""
    kill_marked(sweep.mark)
    sweep.verdict.kills["kill -9 everything"] += 1


def ctrl_c(sweep: DisturbedSweep) -> None:
    """Once."""
    sweep.send(signal.SIGINT)
    sweep.verdict.kills["Ctrl-C"] += 1


def ctrl_c_twice(sweep: DisturbedSweep) -> None:
    """By somebody in a hurry."""
    sweep.send(signal.SIGINT)
    time.sleep(sweep.dice.uniform(0, 2))
    sweep.send(signal.SIGINT)
    sweep.verdict.kills["Ctrl-C twice"] += 1


def terminate(sweep: DisturbedSweep) -> None:
    """As a spot instance does, which tells every process."""
    if sweep.process and sweep.process.poll() is None:
        os.killpg(sweep.process.pid, signal.SIGTERM)
        sweep.verdict.kills["SIGTERM"] += 1


def server_down(sweep: DisturbedSweep) -> None:
    """Down if it was up, and the other way about."""
    if sweep.server_is_up():
        sweep.server.kill()
        sweep.verdict.outages["MLflow server killed"] += 1
    else:
        sweep.put_server_right()


def server_hangs(sweep: DisturbedSweep) -> None:
    """It accepts connections and does not answer, until something else happens to it."""
    if sweep.server_is_up():
        sweep.server.freeze()
        sweep.is_frozen = True
        sweep.verdict.outages["MLflow server frozen"] += 1
    else:
        sweep.put_server_right()


def second_driver(sweep: DisturbedSweep) -> None:
    """Somebody types the same command in another shell, and is refused."""
    sweep.second_driver()


FAULTS: tuple[Fault, ...] = (
    *(driver, worker, worker, raylet, exporter, everything),
    *(ctrl_c, ctrl_c_twice, terminate, second_driver, server_down, server_hangs),
)
