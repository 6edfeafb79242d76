"""Commands that keep what a sweep has left in order: sync, gc."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sweep.commands.given import AtScale, Changes, GridPath, grid_of, without_skipped
from sweep.commands.refusals import refusals
from sweep.errors import ExitCode, RefusedError, visible
from sweep.wording import counted


def sync(grid: GridPath, scale: AtScale = "full", changes: Changes = None) -> None:
    """Bring MLflow up to the records. Does nothing that is done already."""
    with refusals():
        from sweep.plan import make_plan
        from sweep.records.lock import driving
        from sweep.tracking.shipping import ship_all

        standing = make_plan(without_skipped(grid_of(grid, scale, changes)))
        if not standing.records:
            raise RefusedError(f"{standing.folder.storage.uri} holds no records yet")
        with driving(standing.folder):
            shipped = ship_all(standing.grid)
    if shipped.place is None:
        print(f"MLflow cannot be reached: {visible(shipped.error or '')}", file=sys.stderr)
        raise typer.Exit(ExitCode.NOT_TRACKED)
    if shipped.remark:
        print(visible(shipped.remark))
    up_to_date = counted(len(standing.records), "run")
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
    with refusals():
        from sweep.garbage import collect
        from sweep.plan import make_plan

        standing = make_plan(grid_of(grid, scale, changes))
        found = collect(standing, delete=not dry_run)
    deleted = "would be deleted" if dry_run else "deleted"
    of = f"checkpoints of {counted(found.num_trials, 'trial')}"
    print(f"{of}, {found.num_bytes / 1e6:,.1f} MB, {deleted}")
