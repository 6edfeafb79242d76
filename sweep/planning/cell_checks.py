"""A grid's cells tried in a process of its own, while this one gets ready for what follows.

The driver of a sweep is thus spared half a gigabyte of PyTorch, unless a user's own code has
brought it, and what that code may do to Python.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from threading import Thread

from sweep.errors import RefusedError
from sweep.grid.model import Grid
from sweep.planning.feasibility import drop_infeasible_cells, find_not_fusable
from sweep.planning.missing_reference import missing_reference
from sweep.planning.unequal_training import unequal_training
from sweep.planning.warnings import grid_warnings, unsaved_state_warnings
from sweep.process.interrupts import start_without_signals
from sweep.process.logs import LogOptions, configure_logging, log_options


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
    apart: dict[tuple[str, str], str]


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
    if "torch" in sys.modules and not any(trial.spec.own for trial in grid.trials):
        meanwhile()
        return check_cells(grid)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(grid, theirs, log_options()), daemon=True)
    start_without_signals(process)
    theirs.close()
    try:
        meanwhile()
        answer: CellFindings | Exception = ours.recv()
    except EOFError:
        process.join()
        if process.exitcode and process.exitcode < 0:
            return check_cells(grid)
        what = f"Python was ended (exit code {process.exitcode}) while its cells were tried"
        raise RefusedError(f"{grid.path}: {what}") from None
    finally:
        process.kill()
        process.join()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _answer(grid: Grid, asked: Connection, logs: LogOptions) -> None:
    sys.stdout = sys.stderr  # the driver's may be read by another program
    configure_logging(logs)
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        asked.send(check_cells(grid))
    except RefusedError as refused:
        asked.send(refused)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
