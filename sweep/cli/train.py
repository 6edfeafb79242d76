"""Commands that train: run, reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    parse_outcomes,
)
from sweep.cli.exit_codes import exit_on_error
from sweep.errors import ExitCode


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
        read, outcomes = load_grid_argument(grid, scale, changes), parse_outcomes(retry or [])
        from sweep.pipeline import dry_run as rehearse
        from sweep.pipeline import run as run_grid

        if dry_run:
            code = rehearse(read, console(), address=address, retry=outcomes)
        else:
            code = run_grid(read, console(), address=address, retry=outcomes, report=report)
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
        from sweep.execution.reproduce import find_trial, train_steps
        from sweep.execution.reproduce import reproduce as train_again
        from sweep.planning.feasibility import require_data
        from sweep.planning.plan import make_plan

        read = load_grid_argument(grid, scale, changes)
        found = find_trial(read, trial)
        require_data(read, download=True)
        standing = make_plan(read)
        print(f"{found.name} ({found.trial_id})")
        if steps is not None:
            same = train_steps(standing, found, _say, steps)
        else:
            same = train_again(standing, found, _say, epochs)
    raise typer.Exit(ExitCode.DONE if same else ExitCode.FAILED)


def _say(line: str) -> None:
    print(line, flush=True)
