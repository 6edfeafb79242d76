"""Whether the data sets that a grid names hold images to train on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.errors import RefusedError
from trainables.data.catalog import DATASETS

if TYPE_CHECKING:
    from sweep.grid.model import Grid


def require_trainable(grid: Grid) -> None:
    """Raise `RefusedError` for a data set that is known by its dimensions alone."""
    for name in dict.fromkeys(trial.spec.data.name for trial in grid.trials):
        if name in DATASETS and not DATASETS[name].trainable:
            raise RefusedError(
                f"{grid.path}: {name} is known here by its dimensions alone, so there is nothing "
                f"to train; `norm-sweep parameters {grid.path}` counts the parameters"
            )
