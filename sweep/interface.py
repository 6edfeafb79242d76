"""The Python interface beside `sweep.pipeline`: load a grid, plan it, see how it stands.

Nothing is printed. Each function takes a grid that `load_grid` has returned, raises exceptions of
one family (`sweep.SweepError`), and restores the environment variables when it returns.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from sweep.errors import RefusedError, raise_sweep_errors
from sweep.events import OnEvent, Stage, ignore_event, report_stage, send_message
from sweep.grid.model import Grid
from sweep.grid.model import load_grid as read_grid
from sweep.messages import Level
from sweep.process.environment import restored_environment
from sweep.results import Reproduction, SweepPlan, SweepStatus, SyncResult

if TYPE_CHECKING:
    from sweep.planning.feasibility import FeasibleGrid


def load_grid(
    grid: str | os.PathLike[str] | Mapping[str, Any],
    changes: Sequence[str] = (),
    *,
    scale: Literal["full", "small"] | str = "full",
) -> Grid:
    """Read and check a grid.

    Args:
        grid: the path of a YAML file, or the same content as a mapping. Custom code that the grid
            names is imported from the working folder, and from the file's.
        changes: fields to set as if the grid said so, such as `train.epochs=2`.
        scale: `small` for the same cells in minutes, on the digits data.

    Returns:
        The grid with its trials (`grid.trials`).

    Raises:
        GridError: for errors in the grid, all of them, each with its line and its dotted key.
        RefusedError: if the file cannot be read, or a change names no field.

    Examples:
        >>> grid = load_grid(
        ...     {
        ...         "name": "tiny",
        ...         "factors": {"norm": ["batchnorm", "groupnorm"], "batch_size": [8], "seed": 2},
        ...         "data": {"name": "digits"},
        ...         "model": {"name": "resnet8"},
        ...         "train": {"epochs": 1, "optimizer": {"lr": 0.1}},
        ...     }
        ... )
        >>> [trial.name for trial in grid.trials]
        ['batchnorm-bs008-s0', 'groupnorm-bs008-s0', 'batchnorm-bs008-s1', 'groupnorm-bs008-s1']
    """
    from sweep.grid.preset_changes import Preset
    from sweep.grid.presets import apply_preset

    if scale not in list(Preset):
        raise RefusedError(f"scale: expected {' or '.join(Preset)}, found {scale!r}")
    with raise_sweep_errors():
        return apply_preset(read_grid(grid, changes), Preset(scale))


def plan(grid: Grid, *, on_event: OnEvent = ignore_event, calibrate: bool = False) -> SweepPlan:
    """Try the grid's cells and return what a run would train. Starts nothing, writes nothing.

    Args:
        grid: the grid.
        on_event: receives the notes and warnings about the grid.
        calibrate: whether to time a few steps of each cell for the forecast, and to keep the
            times beside the records.

    Raises:
        RefusedError: for cells that cannot be trained, unless the grid says `infeasible: skip`.
    """
    from sweep.pipeline import try_cells
    from sweep.planning.other_records import other_record_notes, other_seeding_warnings
    from sweep.planning.plan import make_plan
    from sweep.planning.warnings import missing_data_notes
    from sweep.resources.gpu_sharing.shares import (
        count_local_gpus,
        count_local_slots,
        format_share_forecast,
    )

    with _raising_sweep_errors_only():
        feasible = try_cells(grid, on_event)
        if calibrate:
            _calibrate(feasible, on_event)
        made, num_gpus = make_plan(feasible), count_local_gpus(feasible)
        for line in (*missing_data_notes(feasible), *other_record_notes(made)):
            send_message(on_event, Level.NOTE, line)
        for line in other_seeding_warnings(made):
            send_message(on_event, Level.WARNING, line)
        slots = count_local_slots(made, os.cpu_count() or 1, num_gpus)
        return SweepPlan(made, slots, format_share_forecast(made, num_gpus))


def status(grid: Grid) -> SweepStatus:
    """Return how the sweep stands: outcomes, epochs and errors, from the records alone.

    Works while the sweep runs, also from another machine. Records that cannot be read are named
    in the result.
    """
    from sweep.planning.trial_states import read_trial_states
    from sweep.records.lease import current_holder

    with _raising_sweep_errors_only():
        states = read_trial_states(without_infeasible_cells(grid), with_damaged=True)
        return SweepStatus(states, current_holder(states.folder))


def sync(grid: Grid) -> SyncResult:
    """Bring MLflow up to date with the records.

    Returns:
        The link to the experiment, or the error if MLflow cannot be reached.

    Raises:
        RefusedError: if the sweep is running, or there are no records yet and no driver has died.
    """
    from sweep.planning.other_records import other_seeding_warnings
    from sweep.planning.trial_states import read_trial_states
    from sweep.records.lease import current_holder, hold_lease
    from sweep.tracking.export import export_all

    with _raising_sweep_errors_only():
        states = read_trial_states(without_infeasible_cells(grid))
        holder = current_holder(states.folder)
        has_dead_driver = holder is not None and holder.is_dead()  # may have left open MLflow runs
        if not states.records and not has_dead_driver:
            of_other_seeding = other_seeding_warnings(states)
            what = f"{states.folder.storage.uri} holds no records yet"
            raise RefusedError(of_other_seeding[0] if of_other_seeding else what)
        with hold_lease(states.folder):
            return SyncResult(export_all(states.grid), len(states.records))


def reproduce(
    grid: Grid,
    trial: str,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    on_event: OnEvent = ignore_event,
) -> Reproduction:
    """Train one trial in this process, without Ray, and compare it with its record.

    Args:
        grid: the grid.
        trial: the trial's id, the beginning of its id, or its name (`groupnorm-bs008-s2`).
        epochs: train only this many epochs.
        steps: train only this many steps, and compare nothing.
        on_event: receives a line per epoch.

    Raises:
        RefusedError: if the grid has no such trial, or its data are not there.
    """
    from sweep.execution import reproduce as reproduction
    from sweep.planning.feasibility import require_data
    from sweep.planning.other_records import other_seeding_warnings
    from sweep.planning.trial_states import read_trial_states

    lines: list[str] = []

    def report(line: str) -> None:
        """Keep a line of the result, and send it to the observer."""
        lines.append(line)
        send_message(on_event, Level.INFO, line)

    with _raising_sweep_errors_only():
        found = reproduction.find_trial(grid, trial)
        require_data(grid, download=True)
        states = read_trial_states(grid)
        if found.trial_id not in states.records:
            for line in other_seeding_warnings(states):
                send_message(on_event, Level.WARNING, line)
        report(f"{found.name} ({found.trial_id})")
        if steps is not None:
            same = reproduction.train_steps(states, found, report, steps)
        else:
            same = reproduction.reproduce(states, found, report, epochs)
        return Reproduction(found, same, tuple(lines))


def without_infeasible_cells(grid: Grid) -> Grid:
    """Return the grid; if it says `infeasible: skip`, without the cells that cannot be trained."""
    from sweep.planning.feasibility import FeasibleGrid, check_feasibility

    if isinstance(grid, FeasibleGrid) or not grid.skip_infeasible:
        return grid
    return check_feasibility(grid)


def _calibrate(feasible: FeasibleGrid, on_event: OnEvent) -> None:
    """Time a few steps of every cell on this machine, and store the times beside the records."""
    from sweep.planning.calibration import save_times, time_cells
    from sweep.planning.feasibility import require_data
    from sweep.planning.trial_states import sweep_folder

    require_data(feasible, download=True)
    times = time_cells(
        feasible,
        report_cell=lambda trial: report_stage(on_event, Stage.TIME_CELL, f"timing {trial.name}"),
        on_failure=partial(send_message, on_event, Level.NOTE),
    )
    save_times(sweep_folder(feasible), times)


@contextmanager
def _raising_sweep_errors_only() -> Iterator[None]:
    """Within the block, turn errors into `SweepError`s; restore the environment after it."""
    with restored_environment(), raise_sweep_errors():
        yield
