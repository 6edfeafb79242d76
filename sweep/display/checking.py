"""What `plan` and `run` say while they try a grid's cells, and of what they find."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from sweep import calibration
from sweep.display.progress import print_plainly, waiting
from sweep.errors import visible
from sweep.examination import examine_beside
from sweep.feasibility import num_cells, require_data, require_trainable
from sweep.grid.layout import Grid
from sweep.plan import folder_of
from sweep.wording import counted


def checked(grid: Grid, console: Console, meanwhile: Callable[[], object] = lambda: None) -> Grid:
    """The grid without the cells that cannot run; says which, and what else to know of it.

    The cells are tried in a process of their own `meanwhile`. Raises `RefusedError` where the grid
    does not allow leaving cells out, and for data that cannot be trained on.
    """
    require_trainable(grid)
    for line in grid.warnings:
        print_plainly(console, f"warning: {line}", "yellow")
    for line in grid.notes:
        print_plainly(console, f"note: {line}")
    what = f"checking {counted(num_cells(grid), 'cell')}"
    if not console.is_terminal:
        print_plainly(console, what)
    with waiting(console, what):
        found = examine_beside(grid, meanwhile)
    for line in found.skipped:
        print_plainly(console, f"skipped: {line}")
    for line in found.warnings:
        print_plainly(console, f"warning: {line}", "yellow")
    for line in found.notes:
        print_plainly(console, f"note: {line}")
    for (norm, variant), why in found.apart.items():
        which = f"{norm} ({variant})" if variant else norm
        print_plainly(console, f"note: {which}: its seeds are trained one at a time: {why}")
    return found.grid


def timed(grid: Grid, console: Console) -> None:
    """Time every cell on this machine, and keep the times beside the grid's records."""
    require_data(grid, download=True)
    with console.status("") as shown:
        times = calibration.calibrate(
            grid,
            on_cell=lambda trial: shown.update(f"timing {escape(visible(trial.name))}"),
            on_failure=lambda line: print_plainly(console, f"note: {line}"),
        )
    calibration.save(folder_of(grid), times)
