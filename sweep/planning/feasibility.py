"""What must hold before anything is scheduled: every cell can run, and the data are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sweep.errors import RefusedError
from sweep.grid.expand import GridTrial
from sweep.grid.left_out import infeasible
from sweep.grid.model import Grid
from trainables.spec import DataSpec, is_custom

MOST_SHOWN = 200
"""Characters of an error that torch raises."""


def drop_infeasible_cells(grid: Grid) -> tuple[Grid, list[str]]:
    """The grid, and a line for each cell that cannot run and was left out (`Grid.left_out`).

    Each distinct cell is built and run once on the meta device. `RefusedError` names every
    infeasible cell unless the grid says `infeasible: skip`.
    """
    reasons = find_infeasible_cells(grid.trials)
    lines = _lines(reasons.values())
    if reasons and not grid.skip_infeasible:
        refused = {trial.norm for trial, _ in reasons.values()}
        works = {t.norm for t in grid.trials if _as_cell(t) not in reasons}
        hint = "exclude these cells, or set `infeasible: skip`"
        if not refused & works:
            hint = f"no cell of {', '.join(sorted(refused))} can run: mend it, or take it out"
        raise RefusedError(*(f"{grid.path}: {line}" for line in lines), f"{grid.path}: {hint}")
    kept = tuple(trial for trial in grid.trials if _as_cell(trial) not in reasons)
    if not kept:
        raise RefusedError(*lines, f"{grid.path}: no cell of the grid can run")
    left_out = (*grid.left_out, *infeasible(reasons.values()))
    return replace(grid, trials=kept, left_out=left_out), lines


def _lines(reasons: Iterable[tuple[GridTrial, str]]) -> list[str]:
    """A line per norm and reason, however many batch sizes it concerns."""
    sizes: dict[tuple[str, str], list[int]] = {}
    for trial, reason in reasons:
        of_norm = sizes.setdefault((trial.norm, reason), [])
        if trial.spec.batch_size not in of_norm:
            of_norm.append(trial.spec.batch_size)
    return [
        f"{norm} at batch size {', '.join(map(str, found))}: {reason}"
        for (norm, reason), found in sizes.items()
    ]


def count_cells(grid: Grid) -> int:
    """How many cells `drop_infeasible_cells` tries."""
    return len({_as_cell(trial) for trial in grid.trials})


def find_infeasible_cells(trials: Iterable[GridTrial]) -> dict[object, tuple[GridTrial, str]]:
    """A trial of each cell that cannot run, and why not, by its spec without the seed."""
    import trainables

    reasons: dict[object, tuple[GridTrial, str]] = {}
    for cell, trial in {_as_cell(trial): trial for trial in reversed(list(trials))}.items():
        try:
            trainables.check(trial.spec)
        except ValueError as error:
            reasons[cell] = (trial, str(error))
        except (RuntimeError, MemoryError, OverflowError) as error:  # of layers beyond all bounds
            why = " ".join(str(error).split()) or type(error).__name__
            reasons[cell] = (trial, f"the network cannot be built: {why[:MOST_SHOWN]}")
        except SystemExit as error:
            reasons[cell] = (trial, f"its code asks Python to exit ({error})")
    return dict(reversed(reasons.items()))


def find_not_fusable(grid: Grid) -> dict[tuple[str, str], str]:
    """Why the seeds of a (norm, variant) cannot be trained as one network, where they cannot.

    Each is tried once, at its smallest batch size, and only where the grid wants it.
    """
    if grid.resources.seeds_per_trainable == 1:
        return {}
    from trainables.errors import NotFusable
    from trainables.fused.fusable import require_fusable

    smallest: dict[tuple[str, str], GridTrial] = {}
    for trial in sorted(grid.trials, key=lambda trial: trial.spec.batch_size):
        smallest.setdefault((trial.norm, trial.variant), trial)
    reasons = {}
    for key, trial in smallest.items():
        try:
            require_fusable(trial.spec)
        except NotFusable as why:
            reasons[key] = str(why)
    return reasons


def require_data(grid: Grid, *, download: bool) -> None:
    """Make sure that every data set is on this machine and whole; `RefusedError` if not.

    A user's own has to be the same in every process.
    """
    from trainables import DataUnavailable, data

    for name in dict.fromkeys(trial.spec.data.name for trial in grid.trials):
        try:
            if not data.is_available(name, grid.data_root) and download:
                data.download(name, grid.data_root)
            data.verify(name, grid.data_root)
        except DataUnavailable as error:
            raise RefusedError(str(error)) from None
    _require_same_everywhere(grid)


def require_data_at_hand(grid: Grid) -> None:
    """The same for the data sets that are on this machine; downloads none, and lets others be."""
    from trainables import DataUnavailable, data

    for name in dict.fromkeys(trial.spec.data.name for trial in grid.trials):
        try:
            if data.is_available(name, grid.data_root):
                data.verify(name, grid.data_root)
        except DataUnavailable as error:
            raise RefusedError(str(error)) from None
    _require_same_everywhere(grid)


def _require_same_everywhere(grid: Grid) -> None:
    """Raise `RefusedError` for a user's own data set that another process reads otherwise."""
    from trainables import DataUnavailable, data

    for spec in custom_data_sets(grid):
        try:
            data.require_repeatable(spec)
        except DataUnavailable as error:
            raise RefusedError(str(error)) from None


def custom_data_sets(grid: Grid) -> list[DataSpec]:
    """Each of the user's own data sets with its options, whole."""
    specs = [trial.spec.data for trial in grid.trials if is_custom(trial.spec.data.name)]
    whole = (DataSpec(name=s.name, options=s.options, digest=s.digest) for s in specs)
    return list(dict.fromkeys(whole))


def _as_cell(trial: GridTrial) -> object:
    spec = replace(trial.spec, seed=0)
    return spec.trial_id
