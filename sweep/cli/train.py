"""Commands that train: run, reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.arguments import (
    AtScale,
    Changes,
    GridPath,
    LogFile,
    Verbose,
    complete_trial_names,
    console,
    load_grid_argument,
)
from sweep.cli.exit_codes import exit_on_error, run_exit_code
from sweep.errors import ExitCode
from sweep.messages import Message

if TYPE_CHECKING:
    from sweep.events import Event


def run(
    grid: GridPath,
    scale: AtScale = "full",
    changes: Changes = None,
    address: Annotated[
        str | None, typer.Option(help="An existing Ray cluster, or `auto`. [default: this machine]")
    ] = None,
    retry: Annotated[
        list[str] | None,
        typer.Option(
            help="Train trials with this outcome again: failed.",
            autocompletion=lambda: ["failed", "out_of_memory"],
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for a report of what there is at the end.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would run, and stop.")
    ] = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Train what is missing. Safe to repeat, to interrupt and to extend.

    Exit codes: 0 every trial has an outcome and MLflow has it; 1 some trial failed; 2 the grid
    or the command is wrong and nothing was started; 3 interrupted or incomplete; 4 trained, but
    MLflow could not be brought up to date, or the report could not be written.

    Examples:

      norm-sweep run grid.yaml --report report

      norm-sweep run grid.yaml --set train.epochs=2 --set factors.seed=1

      norm-sweep run grid.yaml --address auto
    """
    with exit_on_error():
        from sweep.planning.trial_states import parse_outcomes

        read = load_grid_argument(grid, scale, changes)
        outcomes = parse_outcomes(retry or [], "--retry")
        from sweep.cli.report import require_report_folder, write_report
        from sweep.display.live_view import print_line
        from sweep.display.observer import live_display
        from sweep.display.tables import print_locations, print_outcome, print_plan
        from sweep.pipeline import rehearse
        from sweep.pipeline import run as run_grid

        screen = console()
        if dry_run:
            with live_display(screen) as on_event:
                found = rehearse(read, on_event=on_event, address=address, retry=outcomes)
            print_plan(screen, found.plan, found.slots)
            print_line(screen, "dry run: nothing was trained")
            return
        if report is not None:
            require_report_folder(report)
        with live_display(screen) as on_event:
            result = run_grid(read, on_event=on_event, address=address, retry=outcomes)
        print_outcome(screen, before=result.before, after=result.states, stops=result.stops)
        is_reported = report is not None and write_report(result, report, screen)
        print_locations(screen, result.states, result.export, is_reported=is_reported)
    code = run_exit_code(result, is_reported=report is None or is_reported)
    raise typer.Exit(code)


def reproduce(
    grid: GridPath,
    trial: Annotated[
        str,
        typer.Argument(
            help="Its id, or its name: groupnorm-bs008-s2.", autocompletion=complete_trial_names
        ),
    ],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Train only so many epochs, for a quick look.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Train only so many steps, and compare nothing.")
    ] = None,
    scale: AtScale = "full",
    changes: Changes = None,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Train one trial in this process, without Ray, and compare it with its record.

    A debugger works here: nothing but this process trains.

    Exit codes: 0 the same bits, or no record to compare with; 1 other bits, or the trial failed
    or diverged; 2 no such trial.

    Examples:

      norm-sweep reproduce grid.yaml groupnorm-bs008-s2

      norm-sweep reproduce grid.yaml groupnorm-bs008-s2 --steps 20

      python -m pdb -m sweep reproduce grid.yaml groupnorm-bs008-s2
    """
    with exit_on_error():
        from sweep.interface import reproduce as train_again

        read = load_grid_argument(grid, scale, changes)
        found = train_again(read, trial, epochs=epochs, steps=steps, on_event=_print_message)
    raise typer.Exit(ExitCode.DONE if found.is_same else ExitCode.FAILED)


def _print_message(event: Event) -> None:
    """Print the text of an event that is a `Message`; ignore every other event."""
    if isinstance(event, Message):
        print(event.text, flush=True)
