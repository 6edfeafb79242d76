"""Checks before anything is scheduled: every cell can be trained, and the data are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sweep.errors import RefusedError
from sweep.grid.expand import GridTrial
from sweep.grid.left_out import group_infeasible_cells
from sweep.grid.model import Grid
from sweep.grid.variant import Variant
from trainables.spec import DataSpec, is_custom

MAX_ERROR_LENGTH = 200
"""Characters of an error of torch that are shown."""


@dataclass(frozen=True)
class FeasibleGrid(Grid):
    """A grid whose cells have been tried: each of its trials can be trained.

    Attributes:
        skipped: a line for each norm and reason whose cells cannot be trained; `left_out` names
            these cells beside those that the file excludes.
        not_fusable: why the seeds of a (norm, variant) cannot be trained as one network, where
            they cannot and the grid asks for that.
    """

    skipped: tuple[str, ...] = ()
    not_fusable: Mapping[tuple[str, Variant], str] = field(default_factory=dict)

    @staticmethod
    def of(grid: Grid, **changes: Any) -> FeasibleGrid:
        """Return a `FeasibleGrid` with the fields of `grid`, some of them changed."""
        parsed = {item.name: getattr(grid, item.name) for item in fields(Grid)}
        return FeasibleGrid(**{**parsed, **changes})


def check_feasibility(grid: Grid) -> FeasibleGrid:
    """Build each cell of the grid and run it once on the meta device; keep those that work.

    Args:
        grid: the parsed grid.

    Returns:
        The grid without the cells that cannot be trained.

    Raises:
        RefusedError: for cells that cannot be trained, a line each, unless the grid says
            `infeasible: skip`; and for a grid of which no cell is left.
    """
    reasons = find_infeasible_cells(grid.trials)
    lines = _format_reasons(reasons.values())
    if reasons and not grid.skip_infeasible:
        refused = {trial.norm for trial, _ in reasons.values()}
        works = {t.norm for t in grid.trials if _id_without_seed(t) not in reasons}
        hint = "exclude these cells, or set `infeasible: skip`"
        if not refused & works:
            hint = f"no cell of {', '.join(sorted(refused))} can run: mend it, or take it out"
        raise RefusedError(*(f"{grid.path}: {line}" for line in lines), f"{grid.path}: {hint}")
    kept = tuple(trial for trial in grid.trials if _id_without_seed(trial) not in reasons)
    if not kept:
        raise RefusedError(*lines, f"{grid.path}: no cell of the grid can run")
    return FeasibleGrid.of(
        grid,
        trials=kept,
        left_out=(*grid.left_out, *group_infeasible_cells(reasons.values())),
        skipped=tuple(lines),
        not_fusable=_find_reasons_not_fusable(grid, kept),
    )


def _format_reasons(reasons: Iterable[tuple[GridTrial, str]]) -> list[str]:
    """Return a line per norm and reason, with all batch sizes that it concerns."""
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
    """Return how many cells `check_feasibility` tries."""
    return len({_id_without_seed(trial) for trial in grid.trials})


def find_infeasible_cells(trials: Iterable[GridTrial]) -> dict[object, tuple[GridTrial, str]]:
    """Return a trial of each cell that cannot be trained, with the reason, by the cell."""
    import trainables

    reasons: dict[object, tuple[GridTrial, str]] = {}
    for cell, trial in {_id_without_seed(trial): trial for trial in reversed(list(trials))}.items():
        try:
            trainables.check_feasibility(trial.spec)
        except ValueError as error:
            reasons[cell] = (trial, str(error))
        except (RuntimeError, MemoryError, OverflowError) as error:  # of layers beyond all bounds
            why = " ".join(str(error).split()) or type(error).__name__
            reasons[cell] = (trial, f"the network cannot be built: {why[:MAX_ERROR_LENGTH]}")
        except SystemExit as error:
            reasons[cell] = (trial, f"its code asks Python to exit ({error})")
    return dict(reversed(reasons.items()))


def _find_reasons_not_fusable(
    grid: Grid, trials: Iterable[GridTrial]
) -> dict[tuple[str, Variant], str]:
    """Return why the seeds of a (norm, variant) cannot be trained as one network.

    Each is tried once, at its smallest batch size, and only where the grid asks for it.
    """
    if grid.resources.seeds_per_trainable == 1:
        return {}
    from trainables.errors import NotFusable
    from trainables.fused.fusable import require_fusable

    smallest: dict[tuple[str, Variant], GridTrial] = {}
    for trial in sorted(trials, key=lambda trial: trial.spec.batch_size):
        smallest.setdefault((trial.norm, trial.variant), trial)
    reasons = {}
    for key, trial in smallest.items():
        try:
            require_fusable(trial.spec)
        except NotFusable as why:
            reasons[key] = str(why)
    return reasons


def require_data(grid: Grid, *, download: bool) -> None:
    """Raise `RefusedError` unless every data set is on this machine and undamaged.

    A custom data set has to be the same in every process.

    Args:
        grid: the grid whose data sets are checked.
        download: whether to download those that are not on this machine.
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


def require_undamaged_data(grid: Grid) -> None:
    """Raise `RefusedError` for a data set on this machine that is damaged; downloads nothing."""
    from trainables import DataUnavailable, data

    for name in dict.fromkeys(trial.spec.data.name for trial in grid.trials):
        try:
            if data.is_available(name, grid.data_root):
                data.verify(name, grid.data_root)
        except DataUnavailable as error:
            raise RefusedError(str(error)) from None
    _require_same_everywhere(grid)


def _require_same_everywhere(grid: Grid) -> None:
    """Raise `RefusedError` for a custom data set that another process reads with other bits."""
    from trainables import DataUnavailable, data

    for spec in custom_data_sets(grid):
        try:
            data.require_repeatable_data(spec)
        except DataUnavailable as error:
            raise RefusedError(str(error)) from None


def custom_data_sets(grid: Grid) -> list[DataSpec]:
    """Return each custom data set with its options, as a spec of all of its images."""
    specs = [trial.spec.data for trial in grid.trials if is_custom(trial.spec.data.name)]
    whole = (DataSpec(name=s.name, options=s.options, digest=s.digest) for s in specs)
    return list(dict.fromkeys(whole))


def _id_without_seed(trial: GridTrial) -> object:
    """Return an id of a trial's cell, the same for all seeds."""
    spec = replace(trial.spec, seed=0)
    return spec.trial_id
