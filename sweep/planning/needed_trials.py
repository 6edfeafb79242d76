"""Which trials a sweep needs whose seeds are trained until its contrasts are decided.

The grid's trials are those of all seeds that may be trained. Those of the first seeds are needed
in any case; those of a later seed where the look before it has left a contrast open that is
estimated from their cell. A trial that is not needed, or not yet, is none of the plan's trials.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.records.look_history import Cell, LookHistory

AnyGrid = TypeVar("AnyGrid", bound=Grid)


def keep_needed_trials(grid: AnyGrid, history: LookHistory | None) -> AnyGrid:
    """Return the grid with the trials that are needed so far; a grid of fixed seeds as it is.

    Args:
        grid: the grid, with all trials that may be trained.
        history: the looks so far; None before the first one.
    """
    if grid.seed_looks is None:
        return grid
    first = grid.seed_looks.first
    cells: dict[int, frozenset[Cell]] = {}
    if history is not None:
        counts = [look.num_seeds for look in history.looks]
        cells = {count: history.cells_needed_after(count) for count in counts}
    kept = (
        trial
        for trial in grid.trials
        if trial.spec.seed < first or cell_of_contrast(trial) in cells.get(trial.spec.seed, ())
    )
    return replace(grid, trials=tuple(kept))


def cell_of_contrast(trial: GridTrial) -> Cell:
    """Return the trial's cell as `looks.json` names it: variant, norm and batch size."""
    return (str(trial.variant), trial.norm, trial.spec.batch_size)
