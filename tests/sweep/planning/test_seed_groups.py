from __future__ import annotations

import pytest
from small_grids import factors, feasible, load, make_plan

from sweep.grid.variant import Variant
from sweep.planning import plan as planning
from sweep.planning.cost import cell_of
from sweep.planning.plan import Plan
from sweep.planning.seed_groups import group_seeds


def plan_of(seeds_per_trainable: int | str, seeds: int, **changed: list[object]) -> Plan:
    resources = {"seeds_per_trainable": seeds_per_trainable}
    return make_plan(load(**factors(seed=seeds, **changed), resources=resources))


def shape(plan: Plan, slots: int) -> list[tuple[str, int, list[int]]]:
    found = group_seeds(plan, plan.missing(), slots)
    assert sorted(t.trial_id for g in found for t in g) == sorted(
        t.trial_id for t in plan.missing()
    )
    for together in found:
        assert len({cell_of(trial) for trial in together}) == 1
    return [(g[0].norm, g[0].spec.batch_size, [t.spec.seed for t in g]) for g in found]


def test_one_by_default_in_the_order_of_the_plan() -> None:
    plan = make_plan(load())
    assert [g for (g,) in group_seeds(plan, plan.missing(), 2)] == plan.missing()


def test_so_many_seeds_of_a_cell_the_first_ones_first_and_the_longest_of_them() -> None:
    assert shape(plan_of(2, seeds=3, norm=["batchnorm"]), slots=2) == [
        ("batchnorm", 8, [0, 1]),
        ("batchnorm", 16, [0, 1]),
        ("batchnorm", 8, [2]),
        ("batchnorm", 16, [2]),
    ]


@pytest.mark.parametrize(
    ("seeds", "slots", "sizes"),
    [
        (8, 1, [8, 8]),
        (8, 2, [4, 4, 4, 4]),  # of 8 and 16 examples a batch, one takes twice as long
        (4, 64, [1] * 8),  # there is a slot for every trial
        (20, 1, [8, 8, 8, 8, 4, 4]),
    ],
)
def test_auto_leaves_no_slot_idle_for_it(seeds: int, slots: int, sizes: list[int]) -> None:
    found = shape(plan_of("auto", seeds, norm=["batchnorm"]), slots)
    assert sorted((len(s) for _, _, s in found), reverse=True) == sizes


def test_what_cannot_be_side_by_side_has_a_trainable_for_each_seed() -> None:
    grid = load(**factors(seed=4), resources={"seeds_per_trainable": 4})
    tried = feasible(grid, not_fusable={("groupnorm", Variant()): "it draws random numbers"})
    sizes = {(norm, len(seeds)) for norm, _, seeds in shape(planning.make_plan(tried), 2)}
    assert sizes == {("batchnorm", 4), ("groupnorm", 1)}
