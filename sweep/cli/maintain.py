"""Commands that keep what a sweep has left in order: sync, gc."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sweep.cli.arguments import AtScale, Changes, GridPath, load_grid_argument, without_skipped
from sweep.cli.exit_codes import exit_on_error
from sweep.errors import ExitCode, RefusedError, escape_invisible
from sweep.wording import count_noun


def sync(grid: GridPath, scale: AtScale = "full", changes: Changes = None) -> None:
    """Bring MLflow up to the records. Does nothing that is done already."""
    with exit_on_error():
        from sweep.planning.plan import make_plan
        from sweep.records.lease import current_holder, hold_lease
        from sweep.tracking.exporter import export_all

        standing = make_plan(without_skipped(load_grid_argument(grid, scale, changes)))
        died = current_holder(standing.folder)  # its runs in MLflow may need to be closed
        if not standing.records and not (died and died.is_dead()):
            raise RefusedError(f"{standing.folder.storage.uri} holds no records yet")
        with hold_lease(standing.folder):
            shipped = export_all(standing.grid)
    if shipped.place is None:
        print(f"MLflow cannot be reached: {escape_invisible(shipped.error or '')}", file=sys.stderr)
        raise typer.Exit(ExitCode.NOT_TRACKED)
    if shipped.remark:
        print(escape_invisible(shipped.remark))
    up_to_date = count_noun(len(standing.records), "run")
    print(f"{up_to_date} up to date, {shipped.num_touched} of them just now")
    print(f"{shipped.place.command or 'open'}: {shipped.place.link}")


def gc(
    grid: GridPath,
    scale: AtScale = "full",
    changes: Changes = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")
    ] = False,
) -> None:
    """Delete the checkpoints of trials that have an outcome. Records stay, and all results.

    A trial that is still to be trained keeps its checkpoints, and so does one that failed: it
    would go on from there with `run --retry`.
    """
    with exit_on_error():
        from sweep.planning.checkpoint_cleanup import delete_unneeded_checkpoints
        from sweep.planning.plan import make_plan

        standing = make_plan(load_grid_argument(grid, scale, changes))
        found = delete_unneeded_checkpoints(standing, delete=not dry_run)
    deleted = "would be deleted" if dry_run else "deleted"
    of = f"checkpoints of {count_noun(found.num_trials, 'trial')}"
    print(f"{of}, {found.num_bytes / 1e6:,.1f} MB, {deleted}")
