from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from small_grids import load, load_feasible, make_plan

from sweep.planning.trial_states import sweep_folder
from sweep.resources.capacity import Capacity, Share
from sweep.resources.gpu_sharing import measurements as known
from sweep.resources.gpu_sharing import mps
from sweep.resources.gpu_sharing.measure import measure_gpu_shares
from sweep.resources.gpu_sharing.measurements import CellMeasurement, Setting, workload_id
from sweep.resources.gpu_sharing.mps import Mps
from sweep.resources.gpu_sharing.shares import GpuShares
from sweep.resources.gpu_sharing.throughput import ThroughputProbe

NODE = {"CPU": 3.0, "GPU": 1.0, "accelerator_type:H100": 1.0}
PROBE = ThroughputProbe(1, 100, {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0})


@pytest.fixture(autouse=True)
def without_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mps, "mps_state", lambda: Mps.OFF)


def pack(node: dict[str, float], **changes: Any) -> tuple[GpuShares, list[str]]:
    """What is found on a machine of one node to which Ray is not connected, and what is said."""
    said: list[str] = []
    plan, capacity = make_plan(load(**changes)), Capacity([node])
    shares = measure_gpu_shares(
        plan,
        capacity,
        lambda message: said.append(message.text),
        lambda _: nullcontext(),
        is_remote=False,
    )
    return shares, said


def remember(setting: Setting) -> None:
    grid = load_feasible()
    found = {workload_id(grid, trial): CellMeasurement(PROBE, setting, "") for trial in grid.trials}
    known.save(sweep_folder(grid), found)


def test_what_is_known_is_not_measured_again() -> None:
    remember(Setting("H100", Mps.OFF))
    packing, said = pack(NODE)
    shares = {packing.shares(trial)[0] for trial in packing.grid.trials}
    assert shares == {Share(1, 0.5)}  # there are CPUs for three, and two of them were measured
    assert said == [f"2 trials per GPU; {mps.format_mps_state(Mps.OFF)}"]


@pytest.mark.parametrize("setting", [Setting("H100", Mps.ON), Setting("A100", Mps.OFF)])
def test_what_was_measured_elsewhere_does_not_count(setting: Setting) -> None:
    remember(setting)
    packing, said = pack(NODE)
    assert {packing.shares(trial)[0] for trial in packing.grid.trials} == {Share(1, 1)}
    assert said[0].startswith("1 trial per GPU, since the training is too short for it to pay")


@pytest.mark.parametrize(("gpu", "share"), [(0, Share(1, 0)), (0.25, Share(1, 0.25))])
def test_what_the_grid_says_is_taken_without_a_word(gpu: float, share: Share) -> None:
    remember(Setting("H100", Mps.OFF))
    packing, said = pack(NODE, resources={"gpu": gpu})
    assert {packing.shares(trial)[0] for trial in packing.grid.trials} == {share}
    assert not said


def test_without_a_gpu_there_is_nothing_to_say() -> None:
    packing, said = pack({"CPU": 2.0})
    assert {packing.shares(trial)[0] for trial in packing.grid.trials} == {Share(1, 0)}
    assert not said
