"""What `plan` and `run` say while they check a grid's cells, and of what they find."""

from __future__ import annotations

from rich.console import Console

from sweep.display.progress import print_plainly, waiting
from sweep.feasibility import num_cells, without_infeasible
from sweep.grid.layout import Grid
from sweep.remarks import remarks


def checked(grid: Grid, console: Console) -> Grid:
    """The grid without the cells that cannot run; says which, and what else to know of it.

    Raises `RefusedError` where the grid does not allow leaving cells out.
    """
    what = f"checking {num_cells(grid)} cells"
    if not console.is_terminal:
        print_plainly(console, what)
    with waiting(console, what):
        feasible, skipped = without_infeasible(grid)
        notes = remarks(feasible)
    for line in skipped:
        print_plainly(console, f"skipped: {line}")
    for line in notes:
        print_plainly(console, f"note: {line}")
    return feasible
