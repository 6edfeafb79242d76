"""Commands that maintain MLflow and the checkpoints of a sweep: sync, gc."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sweep.cli.arguments import (
    AtScale,
    Changes,
    GridPath,
    LogFile,
    Verbose,
    load_grid_argument,
)
from sweep.cli.exit_codes import exit_on_error
from sweep.errors import ExitCode, escape_invisible
from sweep.wording import count_noun


def sync(
    grid: GridPath,
    scale: AtScale = "full",
    changes: Changes = None,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Bring MLflow up to the records. Does nothing that is done already."""
    with exit_on_error():
        from sweep.interface import sync as sync_grid

        result = sync_grid(load_grid_argument(grid, scale, changes))
    export = result.export
    if export.link is None:
        print(f"MLflow cannot be reached: {escape_invisible(export.error or '')}", file=sys.stderr)
        raise typer.Exit(ExitCode.NOT_TRACKED)
    if export.note:
        print(escape_invisible(export.note))
    up_to_date = count_noun(result.num_records, "run")
    print(f"{up_to_date} up to date, {export.num_exported} of them just now")
    print(f"{export.link.command or 'open'}: {export.link.link}")


def gc(
    grid: GridPath,
    scale: AtScale = "full",
    changes: Changes = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")
    ] = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Delete the checkpoints of trials that have an outcome. Records stay, and all results.

    A trial that is still to be trained keeps its checkpoints, and so does one that failed: it
    would go on from there with `run --retry`.
    """
    with exit_on_error():
        from sweep.planning.checkpoint_cleanup import delete_unneeded_checkpoints
        from sweep.planning.trial_states import read_trial_states

        states = read_trial_states(load_grid_argument(grid, scale, changes))
        found = delete_unneeded_checkpoints(states, delete=not dry_run)
    deleted = "would be deleted" if dry_run else "deleted"
    of = f"checkpoints of {count_noun(found.num_trials, 'trial')}"
    print(f"{of}, {found.num_bytes / 1e6:,.1f} MB, {deleted}")
