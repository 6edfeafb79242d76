"""A grid's cells tried in a process of its own, while this one gets ready for what follows.

The driver of a sweep is thus spared half a gigabyte of PyTorch, unless a user's own code has
brought it, and what that code may do to Python.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from sweep.errors import RefusedError
from sweep.grid.model import Grid
from sweep.grid.variant import Variant
from sweep.planning.feasibility import drop_infeasible_cells, find_not_fusable
from sweep.planning.missing_reference import missing_reference
from sweep.planning.unequal_training import unequal_training
from sweep.planning.warnings import grid_warnings, unsaved_state_warnings
from sweep.process.child_process import ChildProcess, end_with_parent


@dataclass(frozen=True)
class CellFindings:
    """The grid without the cells that cannot run; a line for each of these; what else to know.

    `warnings` tell of what is likely to spoil a comparison, `notes` of the rest.
    `apart` says why the seeds of a (norm, variant) cannot be trained side by side.
    """

    grid: Grid
    skipped: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    apart: dict[tuple[str, Variant], str]


def check_cells(grid: Grid) -> CellFindings:
    """Try every cell, in this process; raises `RefusedError` like `drop_infeasible_cells`."""
    feasible, skipped = drop_infeasible_cells(grid)
    notes, apart = grid_warnings(feasible), find_not_fusable(feasible)
    feasible = replace(feasible, apart=frozenset(apart))
    found = (missing_reference, unequal_training, unsaved_state_warnings)
    warnings = tuple(line for find in found for line in find(feasible))
    return CellFindings(feasible, tuple(skipped), warnings, tuple(notes), apart)


def check_cells_in_subprocess(grid: Grid, meanwhile: Callable[[], object]) -> CellFindings:
    """The same in another process, while this one does something else; raises the same.

    Where this process has PyTorch already, another one would save nothing, unless it has to be
    spared a user's own code. It is tried here too if the other one is killed.
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
