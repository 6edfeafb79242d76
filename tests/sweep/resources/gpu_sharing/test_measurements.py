from __future__ import annotations

from small_grids import factors, load, load_feasible

from sweep.planning.trial_states import sweep_folder
from sweep.resources.gpu_sharing import measurements as known
from sweep.resources.gpu_sharing.measurements import (
    CellMeasurement,
    Setting,
    summarise_measurements,
    workload_id,
)
from sweep.resources.gpu_sharing.throughput import ThroughputProbe

FOUND = CellMeasurement(
    ThroughputProbe(10, 100, {1: 5.0, 2: 9.5}), Setting("H100", "off"), "batchnorm-bs016"
)


def test_what_is_known_comes_back() -> None:
    folder = sweep_folder(load())
    assert known.load(folder) == {}
    found = {"a": FOUND, "b": CellMeasurement(FOUND.probe, Setting("H100"), "b")}
    known.save(folder, found)
    assert known.load(folder) == found


def test_what_cannot_be_read_is_not_known() -> None:
    folder = sweep_folder(load())
    for content in (b"", b"{", b"[1]", b'[{"workload": "a"}]', b"\xff"):
        folder.storage.write(known.MEASUREMENTS_FILE, content)
        assert known.load(folder) == {}


def test_seeds_epochs_and_schedules_are_one_workload_and_models_are_not() -> None:
    def workloads(**changes: object) -> set[str]:
        grid = load_feasible(**{**factors(norm=["batchnorm"], batch_size=[16], seed=3), **changes})
        return {workload_id(grid, trial) for trial in grid.trials}

    (usual,) = workloads()
    longer = {"epochs": 9, "optimizer": {"lr": 0.02}, "schedule": {"name": "cosine"}}
    assert workloads(train=longer) == {usual}
    assert workloads(model={"name": "resnet8", "width": 8}) != {usual}
    assert workloads(resources={"seeds_per_trainable": 2}) != {usual}
    assert workloads(resources={"cuda_graphs": "auto"}) != {usual}


def test_numbers_are_summed_up_in_words() -> None:
    assert summarise_measurements({"a": 1}) == "1 trial per GPU"
    assert summarise_measurements({"a": 8, "b": 8}) == "8 trials per GPU"
    assert (
        summarise_measurements({"a": 1, "b": 8, "c": 8})
        == "8 trials per GPU in 2 cells, 1 in 1 cell"
    )
