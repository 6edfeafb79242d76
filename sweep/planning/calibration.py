"""`plan --calibrate`: time a few steps of every cell, so that the first seed is predicted too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

from sweep.grid.expand import GridTrial
from sweep.planning.cost import Cell, cell_of
from sweep.planning.feasibility import FeasibleGrid
from sweep.records.record import SweepFolder
from trainables.errors import describe_error
from trainables.fused.width import MAX_NETWORKS

TIMES_FILE = "times.json"


@dataclass(frozen=True)
class CellTime:
    """Seconds of an epoch of one trial.

    Attributes:
        epoch_s: as the grid trains the seeds of its cell, fused or one by one.
        alone_s: trained by itself.
    """

    epoch_s: float
    alone_s: float


def time_cells(
    grid: FeasibleGrid,
    report_cell: Callable[[GridTrial], AbstractContextManager[None]],
    on_failure: Callable[[str], None],
) -> dict[Cell, CellTime]:
    """Time a few steps of every cell in this process, one cell after the other.

    Args:
        grid: the grid whose cells are timed; their data are on this machine.
        report_cell: a context manager that describes the timing of a cell, by its first trial.
        on_failure: called with a line for each cell that cannot be timed, which is left out.

    Returns:
        The expected times of an epoch, by cell.
    """
    import torch

    torch.set_num_threads(max(1, int(grid.resources.cpu)))
    cells: dict[Cell, list[GridTrial]] = {}
    for trial in grid.trials:
        cells.setdefault(cell_of(trial), []).append(trial)
    found = {}
    for key, trials in cells.items():
        try:
            with report_cell(trials[0]):
                found[key] = _time_cell(grid, trials)
        except (Exception, SystemExit) as error:
            on_failure(f"{trials[0].name} could not be timed: {describe_error(error)}")
    return found


def _time_cell(grid: FeasibleGrid, trials: Sequence[GridTrial]) -> CellTime:
    """Return the seconds of an epoch of a cell, from steps that are timed in this process."""

    from trainables.timing import time_epoch, time_widths

    device = "cpu" if grid.resources.gpu == 0 else None
    wanted = grid.resources.seeds_per_trainable
    seeds = trials[: MAX_NETWORKS if wanted == "auto" else wanted]
    alone = time_epoch(seeds[0].spec, data_root=grid.data_root, device=device)
    share = 1.0
    if len(seeds) > 1 and (seeds[0].norm, seeds[0].variant) not in grid.not_fusable:
        specs = [trial.spec for trial in seeds]
        step_s = time_widths(specs, data_root=grid.data_root, device=device)
        together = min(step_s.values()) if wanted == "auto" else step_s.get(len(seeds), step_s[1])
        share = together / step_s[1]
    return CellTime(share * alone.train_s + alone.eval_s, alone.epoch_s)


def save_times(folder: SweepFolder, times: Mapping[Cell, CellTime]) -> None:
    """Write the times beside the records, where later commands read them."""
    rows = [
        {"norm": norm, "variant": str(variant), "batch_size": size, **asdict(found)}
        for (norm, variant, size), found in times.items()
    ]
    folder.storage.write(TIMES_FILE, json.dumps(rows, indent=1).encode() + b"\n")


def load_times(folder: SweepFolder, trials: Iterable[GridTrial]) -> dict[Cell, CellTime]:
    """Return the times that `save_times` wrote of the trials' cells; empty if none can be read."""
    try:
        rows = json.loads(folder.storage.read(TIMES_FILE))
        times = {
            (row["norm"], row["variant"], row["batch_size"]): CellTime(
                float(row["epoch_s"]), float(row["alone_s"])
            )
            for row in rows
        }
    except (OSError, ValueError, TypeError, KeyError):
        return {}  # they only order trials: the first epochs tell the same
    cells = dict.fromkeys(map(cell_of, trials))
    labelled = ((cell, (cell[0], str(cell[1]), cell[2])) for cell in cells)
    return {cell: times[label] for cell, label in labelled if label in times}
