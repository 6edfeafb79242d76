"""Which trials share a trainable: seeds of one cell, several at a time if the grid wants that."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.grid.expand import GridTrial
from sweep.planning.cost import Cell, cell_of
from sweep.planning.makespan import makespan
from sweep.planning.plan import Plan
from trainables.fused.width import MAX_NETWORKS

MAX_MAKESPAN_LOSS = 1.03
"""So much longer the sweep may take with `auto` if being side by side should gain nothing."""

SeedGroup = tuple[GridTrial, ...]


def group_seeds(plan: Plan, trials: Sequence[GridTrial], slots: int) -> list[SeedGroup]:
    """The trials in groups of at most `seeds_per_trainable`, in the order to start them.

    The first seeds of every cell come before further ones, and of those the longest. `auto` takes
    the largest groups that leave the slots busy. What cannot be side by side (`Grid.apart`) has one
    trial a group.
    """
    wanted = plan.grid.resources.seeds_per_trainable
    if wanted != "auto":
        return _in_groups_of(wanted, plan, trials)
    singly = _in_groups_of(1, plan, trials)
    size = MAX_NETWORKS
    while size > 1:
        found = _in_groups_of(size, plan, trials)
        if _makespan(plan, found, slots) <= MAX_MAKESPAN_LOSS * _makespan(plan, singly, slots):
            return found
        size //= 2
    return singly


def _in_groups_of(size: int, plan: Plan, trials: Sequence[GridTrial]) -> list[SeedGroup]:
    cells: dict[Cell, list[GridTrial]] = {}
    for trial in trials:
        cells.setdefault(cell_of(trial), []).append(trial)
    ranked = [
        (number, together)
        for (norm, variant, _), members in cells.items()
        for number, together in enumerate(
            _chunks(members, 1 if (norm, variant) in plan.grid.apart else size)
        )
    ]
    ranked.sort(key=lambda pair: (pair[0], -_seconds(plan, pair[1])))
    return [together for _, together in ranked]


def _chunks(members: Sequence[GridTrial], size: int) -> list[SeedGroup]:
    return [tuple(members[at : at + size]) for at in range(0, len(members), size)]


def _seconds(plan: Plan, together: SeedGroup) -> float:
    return sum(plan.remaining_s(trial) for trial in together)


def _makespan(plan: Plan, found: Sequence[SeedGroup], slots: int) -> float:
    return makespan((_seconds(plan, together) for together in found), slots)
