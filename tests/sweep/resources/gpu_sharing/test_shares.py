from __future__ import annotations

from typing import Any

import pytest
from small_grids import factors, load, load_feasible, make_plan

from sweep.planning.feasibility import FeasibleGrid
from sweep.planning.trial_states import sweep_folder
from sweep.resources.capacity import Capacity, Share
from sweep.resources.gpu_sharing import measurements as known
from sweep.resources.gpu_sharing.measurements import CellMeasurement, Setting, workload_id
from sweep.resources.gpu_sharing.shares import (
    GpuShares,
    count_local_slots,
    format_share_forecast,
    reason_not_measured,
    unmeasured_cells,
)
from sweep.resources.gpu_sharing.throughput import ThroughputProbe

NODE = {"CPU": 16.0, "GPU": 2.0, "accelerator_type:H100": 1.0}
LONG: dict[str, Any] = {"train": {"epochs": 100_000, "optimizer": {"lr": 0.02}}}


def by_size(grid: FeasibleGrid, number_of: dict[int, int]) -> dict[str, int]:
    return {
        workload_id(grid, trial): number_of[trial.spec.batch_size]
        for trial in grid.trials
        if trial.spec.batch_size in number_of
    }


def test_a_trial_has_its_cells_share_and_more_if_that_is_too_little() -> None:
    grid = load_feasible()
    packing = GpuShares(grid, Capacity([NODE]), by_size(grid, {8: 4}))
    shares = {trial.spec.batch_size: packing.shares(trial) for trial in grid.trials}
    assert shares == {8: [Share(1, 0.25), Share(1, 0.5), Share(1, 1)], 16: [Share(1, 1)]}


def test_slots_are_the_mean_over_the_trials_time() -> None:
    grid = load_feasible()
    plan = make_plan(grid)  # 4 steps an epoch at 16 examples, 8 at 8
    one_each = GpuShares(grid, Capacity([NODE]))
    assert one_each.slots_at_first(plan) == 2
    mixed = GpuShares(grid, Capacity([NODE]), by_size(grid, {8: 4}))
    # Of 12 units of time 4 are spent two at a time and 8 eight at a time.
    assert mixed.slots_at_first(plan) == round(12 / (4 / 2 + 8 / 8))
    assert GpuShares(grid, Capacity([NODE]), by_size(grid, {16: 4, 8: 4})).slots_at_first(plan) == 8


def test_a_cell_is_measured_once_whatever_its_seeds() -> None:
    grid = load_feasible(**factors(seed=3))
    plan = make_plan(grid)
    names = [trial.name for trial in unmeasured_cells(plan, plan.missing(), [])]
    assert sorted(names) == [
        "batchnorm-bs008-s0",
        "batchnorm-bs016-s0",
        "groupnorm-bs008-s0",
        "groupnorm-bs016-s0",
    ]
    (one, *others) = {workload_id(grid, trial) for trial in grid.trials}
    left = unmeasured_cells(plan, plan.missing(), [one])
    assert {workload_id(grid, trial) for trial in left} == set(others)


@pytest.mark.parametrize(
    ("changes", "node", "reason"),
    [
        (LONG, NODE, None),
        (LONG, {"CPU": 1.0, "GPU": 1.0}, "there are not CPUs for two trials"),
        (LONG, {"CPU": 64.0, "GPU": 8.0}, "no more trials than GPUs"),
        ({}, NODE, "too short"),
    ],
)
def test_measuring_has_to_be_worth_its_time(
    changes: dict[str, Any], node: dict[str, float], reason: str | None
) -> None:
    plan = make_plan(load(**changes))
    cells = unmeasured_cells(plan, plan.missing(), [])
    found = reason_not_measured(plan, Capacity([node]), cells)
    assert found is None if reason is None else reason in str(found)


def test_gpus_are_called_what_ray_calls_them() -> None:
    assert Capacity([NODE, {"CPU": 4.0}]).gpu_kinds == "H100"
    assert Capacity([{"CPU": 1.0, "GPU": 1.0}]).gpu_kinds == "GPU"


def test_the_plan_tells_what_is_known() -> None:
    grid = load_feasible()
    plan = make_plan(grid)
    assert format_share_forecast(plan, num_gpus=0) is None
    assert "1 trial per GPU until `run` has measured" in str(
        format_share_forecast(plan, num_gpus=1)
    )
    assert count_local_slots(plan, num_cpus=8, num_gpus=2) == 2
    probe = ThroughputProbe(1, 100, {1: 1.0, 2: 2.0, 4: 4.0})
    found = {w: CellMeasurement(probe, Setting("H100"), "") for w in by_size(grid, {8: 4, 16: 4})}
    known.save(sweep_folder(grid), found)
    assert format_share_forecast(plan, num_gpus=0) == "4 trials per GPU, as measured"
    assert count_local_slots(plan, num_cpus=8, num_gpus=2) == 8
    assert count_local_slots(plan, num_cpus=6, num_gpus=2) == 6
    known.save(sweep_folder(grid), dict(list(found.items())[:1]))
    assert "1 until measured in 3 other cells" in str(format_share_forecast(plan, num_gpus=0))


def test_a_share_that_the_grid_names_is_taken() -> None:
    plan = make_plan(load(resources={"gpu": 0.5}))
    assert format_share_forecast(plan, num_gpus=1) is None
    assert count_local_slots(plan, num_cpus=8, num_gpus=2) == 4
    assert count_local_slots(plan, num_cpus=8, num_gpus=0) == 8
