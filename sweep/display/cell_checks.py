"""What `plan` and `run` say while they try a grid's cells, and of what they find."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from sweep.display.live_view import print_line, show_spinner
from sweep.errors import escape_invisible
from sweep.grid.model import Grid
from sweep.grid.trainable_data import require_trainable
from sweep.planning import calibration
from sweep.planning.cell_checks import check_cells_in_subprocess
from sweep.planning.feasibility import count_cells, require_data
from sweep.planning.plan import sweep_folder
from sweep.wording import count_noun


def check_cells_and_print(
    grid: Grid, console: Console, meanwhile: Callable[[], object] = lambda: None
) -> Grid:
    """The grid without the cells that cannot run; says which, and what else to know of it.

    The cells are tried in a process of their own `meanwhile`. Raises `RefusedError` where the grid
    does not allow leaving cells out, and for data that cannot be trained on.
    """
    require_trainable(grid)
    for line in grid.warnings:
        print_line(console, f"warning: {line}", "yellow")
    for line in grid.notes:
        print_line(console, f"note: {line}")
    what = f"checking {count_noun(count_cells(grid), 'cell')}"
    if not console.is_terminal:
        print_line(console, what)
    with show_spinner(console, what):
        found = check_cells_in_subprocess(grid, meanwhile)
    for line in found.skipped:
        print_line(console, f"skipped: {line}")
    for line in found.warnings:
        print_line(console, f"warning: {line}", "yellow")
    for line in found.notes:
        print_line(console, f"note: {line}")
    for (norm, variant), why in found.apart.items():
        which = f"{norm} ({variant})" if variant else norm
        print_line(console, f"note: {which}: its seeds are trained one at a time: {why}")
    return found.grid


def time_cells_and_print(grid: Grid, console: Console) -> None:
    """Time every cell on this machine, and keep the times beside the grid's records."""
    require_data(grid, download=True)
    with console.status("") as shown:
        times = calibration.time_cells(
            grid,
            on_cell=lambda trial: shown.update(f"timing {escape(escape_invisible(trial.name))}"),
            on_failure=lambda line: print_line(console, f"note: {line}"),
        )
    calibration.save(sweep_folder(grid), times)
