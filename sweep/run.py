"""`sweep run`: train what is missing, ship it, say how it stands."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console

from sweep import tables
from sweep.board import Board
from sweep.errors import ExitCode
from sweep.feasibility import require_data, without_infeasible
from sweep.grid import Grid
from sweep.lock import driving
from sweep.plan import Plan, make_plan, save_expected
from sweep.progress import shown
from sweep.runner import Cluster, train_missing
from sweep.shipping import Shipped, Shipper, ship_all
from trainables.spec import Outcome


def run(
    grid: Grid, console: Console, *, address: str | None = None, retry: Iterable[Outcome] = ()
) -> ExitCode:
    """Train the grid's missing trials. Safe to repeat, to interrupt and to extend."""
    plan = make_plan(grid, retry)
    plan.folder.storage.require_writable()
    with driving(plan.folder), interrupted_by_sigterm():
        if plan.missing():
            plan, shipped, stopped_by = _train(plan, console, address)
        else:
            save_expected(plan)
            stopped_by, shipped = None, ship_all(plan.grid)
    now = make_plan(plan.grid)
    tables.print_outcome(console, before=plan, after=now, shipped=shipped, stopped_by=stopped_by)
    return exit_code(now, shipped, stopped_by)


def _train(plan: Plan, console: Console, address: str | None) -> tuple[Plan, Shipped, str | None]:
    grid, skipped = without_infeasible(plan.grid)
    for line in skipped:
        console.print(f"skipped: {line}", style="yellow", highlight=False, markup=False)
    plan = replace(plan, grid=grid)
    require_data(grid, download=True)
    cluster = Cluster(address)
    try:
        board = Board(plan, slots=cluster.slots(grid))
        save_expected(plan)
        shipper = Shipper(grid)
        with shown(board, console):
            train_missing(plan, cluster, board, shipper)
    finally:
        cluster.shut_down()
    for notice in board.notices:
        console.print(notice, style="yellow", highlight=False, markup=False)
    with console.status("bringing MLflow up to date"):
        shipped = shipper.finish()
    return plan, shipped, board.repeated_error


def exit_code(plan: Plan, shipped: Shipped, stopped_by: str | None) -> ExitCode:
    """What the records and MLflow say, which is not always what Ray says."""
    failed = plan.num(Outcome.FAILED, Outcome.OUT_OF_MEMORY)
    if plan.missing() and not stopped_by:
        return ExitCode.INCOMPLETE
    if failed:
        return ExitCode.FAILED
    return ExitCode.NOT_TRACKED if shipped.error else ExitCode.DONE


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM (a spot instance about to go) end the sweep like Ctrl-C."""
    earlier = signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
