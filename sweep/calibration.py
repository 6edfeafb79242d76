"""`plan --calibrate`: time a few steps of every cell, so that the first seed is predicted too."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from sweep.cost import Cell, cell
from sweep.grid.expansion import GridTrial
from sweep.grid.layout import Grid
from sweep.records.record import SweepFolder
from trainables.errors import reason

TIMES = "times.json"


def calibrate(
    grid: Grid, on_cell: Callable[[GridTrial], None], on_failure: Callable[[str], None]
) -> dict[Cell, float]:
    """Seconds of an epoch of every cell, timed one after the other in this process.

    A cell that fails is left out, and `on_failure` told in a line; `run` records such failures.
    """
    import torch

    from trainables.timing import time_epoch

    torch.set_num_threads(max(1, int(grid.resources.cpu)))
    device = "cpu" if grid.resources.gpu == 0 else None
    found: dict[Cell, float] = {}
    failed: set[Cell] = set()
    for trial in grid.trials:
        if cell(trial) not in found.keys() | failed:
            on_cell(trial)
            try:
                timed = time_epoch(trial.spec, data_root=grid.data_root, device=device)
            except (Exception, SystemExit) as error:
                failed.add(cell(trial))
                on_failure(f"{trial.name} could not be timed: {reason(error)}")
            else:
                found[cell(trial)] = timed.epoch_s
    return found


def save(folder: SweepFolder, times: Mapping[Cell, float]) -> None:
    """Keep the times beside the records, for every later `plan` and `run`."""
    rows = [
        {"norm": norm, "variant": variant, "batch_size": size, "epoch_s": seconds}
        for (norm, variant, size), seconds in times.items()
    ]
    folder.storage.write(TIMES, json.dumps(rows, indent=1).encode() + b"\n")


def load(folder: SweepFolder) -> dict[Cell, float]:
    """The times that were kept; none where there are none, or none that can be read."""
    try:
        rows = json.loads(folder.storage.read(TIMES))
        return {(r["norm"], r["variant"], r["batch_size"]): float(r["epoch_s"]) for r in rows}
    except (OSError, ValueError, TypeError, KeyError):
        return {}  # they only order trials: the first epochs tell the same
