"""Commands that only look: plan, status."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Annotated

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
    without_skipped,
)
from sweep.cli.exit_codes import exit_on_error
from sweep.errors import RefusedError

if TYPE_CHECKING:
    from sweep.grid.model import Grid
    from sweep.planning.plan import Plan
    from sweep.records.lease import Holder


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
        from sweep.display.cell_checks import check_cells_and_print, time_cells_and_print
        from sweep.display.json_data import plan_data
        from sweep.display.live_view import print_line
        from sweep.display.output import stderr_console
        from sweep.display.tables import print_plan
        from sweep.planning.kept_trials import kept_trials
        from sweep.planning.plan import make_plan
        from sweep.planning.warnings import missing_data_warnings
        from sweep.resources.gpu_sharing.shares import (
            count_local_gpus,
            count_local_slots,
            format_share_forecast,
        )

        beside = stderr_console() if as_json else console()
        # What the user's own code prints is not for the program that reads the JSON.
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            feasible = check_cells_and_print(load_grid_argument(grid, scale, changes), beside)
            if calibrate:
                time_cells_and_print(feasible, beside)
        for line in missing_data_warnings(feasible):
            print_line(beside, f"note: {line}")
        standing, num_gpus = make_plan(feasible), count_local_gpus(feasible)
        for line in kept_trials(standing):
            print_line(beside, f"note: {line}")
        slots = count_local_slots(standing, os.cpu_count() or 1, num_gpus)
        if as_json:
            print(json.dumps(plan_data(standing, slots), indent=1))
        else:
            print_plan(beside, standing, slots, format_share_forecast(standing, num_gpus))


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
        from sweep.display.json_data import status_data
        from sweep.display.status import print_status
        from sweep.display.watch import watch as keep_showing

        if watch and as_json:
            raise RefusedError("--watch and --json exclude each other")
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            read = without_skipped(load_grid_argument(grid, scale, changes))
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
    from sweep.planning.plan import make_plan
    from sweep.records.lease import current_holder

    standing = make_plan(read, with_damaged=True)
    return standing, current_holder(standing.folder)
