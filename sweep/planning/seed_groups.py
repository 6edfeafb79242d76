"""Groups of trials that share a worker: seeds of one cell, if the grid asks for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sweep.grid.expand import GridTrial
from sweep.planning.cost import Cell, CostModel, cell_of
from sweep.planning.feasibility import FeasibleGrid
from sweep.planning.makespan import makespan
from sweep.planning.plan import Plan
from trainables.fused.width import MAX_NETWORKS

MAX_MAKESPAN_RATIO = 1.03
"""By how much groups may lengthen the sweep with `auto`, should fusing seeds save no time."""

SeedGroup = tuple[GridTrial, ...]


def group_seeds(
    plan: Plan,
    trials: Sequence[GridTrial],
    slots: int,
    costs: CostModel | None = None,
) -> list[SeedGroup]:
    """Return the trials in groups of at most `seeds_per_trainable`, in the order to start them.

    The first seeds of every cell come before further seeds, and among these the longest trials.
    `auto` takes the largest groups that leave no slot idle. Trials whose seeds cannot be trained as
    one network (`FeasibleGrid.not_fusable`) have a group each.

    Args:
        plan: the plan whose trials these are.
        trials: the trials to group.
        slots: how many groups are trained at once.
        costs: how long an epoch takes; by default `plan.costs`.
    """
    costs = costs or plan.costs

    def seconds(group: SeedGroup) -> float:
        """Return the expected seconds of a group."""
        return sum(costs.remaining_s(trial, plan.epochs_done(trial)) for trial in group)

    def sweep_s(groups: Sequence[SeedGroup]) -> float:
        """Return the expected seconds of the sweep with these groups."""
        return makespan(map(seconds, groups), slots)

    def sized(size: int) -> list[SeedGroup]:
        """Return the trials in groups of at most `size`."""
        return _group_by_size(size, plan.grid, trials, seconds)

    wanted = plan.grid.resources.seeds_per_trainable
    if wanted != "auto":
        return sized(wanted)
    single = sized(1)
    size = MAX_NETWORKS
    while size > 1:
        groups = sized(size)
        if sweep_s(groups) <= MAX_MAKESPAN_RATIO * sweep_s(single):
            return groups
        size //= 2
    return single


def _group_by_size(
    size: int,
    grid: FeasibleGrid,
    trials: Sequence[GridTrial],
    seconds: Callable[[SeedGroup], float],
) -> list[SeedGroup]:
    """Return each cell's trials in groups of at most `size`, in the order to start them."""
    cells: dict[Cell, list[GridTrial]] = {}
    for trial in trials:
        cells.setdefault(cell_of(trial), []).append(trial)
    ranked = [
        (number, group)
        for (norm, variant, _), members in cells.items()
        for number, group in enumerate(
            _split_into_groups(members, 1 if (norm, variant) in grid.not_fusable else size)
        )
    ]
    ranked.sort(key=lambda pair: (pair[0], -seconds(pair[1])))
    return [group for _, group in ranked]


def _split_into_groups(members: Sequence[GridTrial], size: int) -> list[SeedGroup]:
    """Return the trials of a cell in consecutive groups of `size`."""
    return [tuple(members[at : at + size]) for at in range(0, len(members), size)]
