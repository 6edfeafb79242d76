"""Commands that inspect a sweep and start nothing: plan, status."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext, redirect_stdout
from typing import Annotated

import typer

from sweep.cli.arguments import (
    AsJson,
    AtScale,
    Changes,
    GridPath,
    LogFile,
    Verbose,
    console,
    load_grid_argument,
)
from sweep.cli.exit_codes import exit_on_error
from sweep.errors import RefusedError


def plan(
    grid: GridPath,
    scale: AtScale = "full",
    changes: Changes = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Time a few steps of every cell, for the forecast.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Show what would run, what is done, and what it will cost. Starts nothing.

    Examples:

      norm-sweep plan grid.yaml --calibrate

      norm-sweep plan grid.yaml --set factors.seed=10 --json
    """
    with exit_on_error():
        from sweep.display.json_data import build_plan_data
        from sweep.display.observer import live_display
        from sweep.display.output import stderr_console
        from sweep.display.tables import print_plan
        from sweep.interface import plan as plan_grid

        screen = stderr_console() if as_json else console()
        # What custom code prints is not for the program that reads the JSON.
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            read = load_grid_argument(grid, scale, changes)
            with live_display(screen) as on_event:
                found = plan_grid(read, on_event=on_event, calibrate=calibrate)
        if as_json:
            print(json.dumps(build_plan_data(found.plan, found.slots), indent=1))
        else:
            print_plan(screen, found.plan, found.slots, found.gpu_sharing)


def status(
    grid: GridPath,
    scale: AtScale = "full",
    changes: Changes = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on showing it until nobody runs the sweep.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Show how a sweep stands; also while it runs, from another shell or another machine.

    Exit code 2 if a record cannot be read; the others are shown.

    Examples:

      norm-sweep status grid.yaml --watch

      norm-sweep status grid.yaml --json
    """
    with exit_on_error():
        from sweep.display.json_data import build_status_data
        from sweep.display.status import print_status
        from sweep.display.watch import watch_status
        from sweep.interface import status as read_status
        from sweep.interface import without_infeasible_cells

        if watch and as_json:
            raise RefusedError("--watch and --json exclude each other")
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            # Once, and not each time that a watched sweep is looked at.
            read = without_infeasible_cells(load_grid_argument(grid, scale, changes))
        found = read_status(read)
        if as_json:
            print(json.dumps(build_status_data(found.states, found.holder), indent=1))
        else:
            if watch:
                found = watch_status(console(), lambda: read_status(read))
            print_status(console(), found.states, found.holder)
        sys.stdout.flush()
        if found.damaged:
            raise RefusedError(*found.damaged)
