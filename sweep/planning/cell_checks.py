"""The cells of a grid, tried in a process of their own while the driver's prepares what follows.

The driver's process thus need not hold half a gigabyte of PyTorch, and custom code cannot end it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from sweep.errors import RefusedError
from sweep.grid.model import Grid
from sweep.planning.feasibility import FeasibleGrid, check_feasibility
from sweep.planning.missing_reference import missing_reference_warnings
from sweep.planning.unequal_training import unequal_training_warnings
from sweep.planning.warnings import grid_notes, unsaved_state_warnings
from sweep.process.child_process import ChildProcess, end_with_parent


@dataclass(frozen=True)
class CellFindings:
    """The feasible grid, with warnings and notes on its cells.

    Attributes:
        grid: the grid without the cells that cannot be trained.
        warnings: what is likely to spoil a comparison, a line each.
        notes: other peculiarities of the cells, a line each.
    """

    grid: FeasibleGrid
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def check_cells(grid: Grid) -> CellFindings:
    """Try every cell in this process; raises `RefusedError` like `check_feasibility`."""
    feasible = check_feasibility(grid)
    checks = (missing_reference_warnings, unequal_training_warnings, unsaved_state_warnings)
    warnings = tuple(line for check in checks for line in check(feasible))
    return CellFindings(feasible, warnings, tuple(grid_notes(feasible)))


def check_cells_in_subprocess(grid: Grid, meanwhile: Callable[[], object]) -> CellFindings:
    """Try every cell in another process while this process calls `meanwhile`.

    The cells are tried in this process instead if it has imported PyTorch and the grid names no
    custom code, or if the other process was killed.

    Raises:
        RefusedError: as `check_feasibility`.
    """
    if "torch" in sys.modules and not any(trial.spec.custom_names for trial in grid.trials):
        meanwhile()
        return check_cells(grid)
    child: ChildProcess[CellFindings | RefusedError] = ChildProcess(_send_findings, grid)
    try:
        meanwhile()
        answer = child.receive()
    except EOFError:
        exit_code = child.wait()
        if exit_code < 0:
            return check_cells(grid)
        what = f"Python was ended (exit code {exit_code}) while its cells were tried"
        raise RefusedError(f"{grid.path}: {what}") from None
    finally:
        child.kill()
    if isinstance(answer, RefusedError):
        raise answer
    return answer


def _send_findings(driver: Connection, grid: Grid) -> None:
    """Try the cells in this process and send the findings, or the refusal, to the driver."""
    sys.stdout = sys.stderr  # the driver's may be read by another program
    end_with_parent()
    try:
        driver.send(check_cells(grid))
    except RefusedError as refused:
        driver.send(refused)
