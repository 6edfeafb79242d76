"""Commands that only look: plan, status."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.commands.given import (
    AsJson,
    AtScale,
    Changes,
    GridPath,
    console,
    grid_of,
    without_skipped,
)
from sweep.commands.refusals import refusals
from sweep.errors import RefusedError

if TYPE_CHECKING:
    from sweep.grid.layout import Grid
    from sweep.plan import Plan
    from sweep.records.lock import Holder


def plan(
    grid: GridPath,
    scale: AtScale = "full",
    changes: Changes = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Time a few steps of every cell, for the forecast.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what would run, what is done, and what it will cost. Starts nothing.

    Examples:

      norm-sweep plan grid.yaml --calibrate

      norm-sweep plan grid.yaml --set factors.seed=10 --json
    """
    with refusals():
        from sweep.display.checking import checked, timed
        from sweep.display.output import on_stderr
        from sweep.display.plain_data import plan_data
        from sweep.display.progress import print_plainly
        from sweep.display.tables import print_plan
        from sweep.kept_trials import kept_trials
        from sweep.packing.packing import foreseen_line, gpus_here, slots_here
        from sweep.plan import make_plan
        from sweep.remarks import missing_data

        beside = on_stderr() if as_json else console()
        # What the user's own code prints is not for the program that reads the JSON.
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            feasible = checked(grid_of(grid, scale, changes), beside)
            if calibrate:
                timed(feasible, beside)
        for line in missing_data(feasible):
            print_plainly(beside, f"note: {line}")
        standing, num_gpus = make_plan(feasible), gpus_here(feasible)
        for line in kept_trials(standing):
            print_plainly(beside, f"note: {line}")
        slots = slots_here(standing, os.cpu_count() or 1, num_gpus)
        if as_json:
            print(json.dumps(plan_data(standing, slots), indent=1))
        else:
            print_plan(beside, standing, slots, foreseen_line(standing, num_gpus))


def status(
    grid: GridPath,
    scale: AtScale = "full",
    changes: Changes = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on showing it until nobody runs the sweep.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how a sweep stands; also while it runs, from another shell or another machine.

    Exit code 2 if a record cannot be read; the others are shown.

    Examples:

      norm-sweep status grid.yaml --watch

      norm-sweep status grid.yaml --json
    """
    with refusals():
        from sweep.display.plain_data import status_data
        from sweep.display.status import print_status
        from sweep.display.watching import watch as keep_showing

        if watch and as_json:
            raise RefusedError("--watch and --json exclude each other")
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            read = without_skipped(grid_of(grid, scale, changes))
        standing, holder = _standing(read)
        if as_json:
            print(json.dumps(status_data(standing, holder), indent=1))
        else:
            if watch:
                standing, holder = keep_showing(console(), lambda: _standing(read))
            print_status(console(), standing, holder)
        sys.stdout.flush()
        if standing.damaged:
            raise RefusedError(*standing.damaged.values())


def _standing(read: Grid) -> tuple[Plan, Holder | None]:
    from sweep.plan import make_plan
    from sweep.records.lock import current_holder

    standing = make_plan(read, with_damaged=True)
    return standing, current_holder(standing.folder)
