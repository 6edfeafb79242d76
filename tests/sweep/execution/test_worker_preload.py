from __future__ import annotations

import importlib
import os

import pytest
from small_grids import load

from sweep.execution import worker_preload as worker_preload
from sweep.execution.worker_preload import (
    PRELOADED_MODULES,
    most_cores_will_train,
    preload_workers,
)
from sweep.resources.ray_compat import PRELOAD_VARIABLE


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_preload, "GPU_DRIVERS", ())
    monkeypatch.delenv(PRELOAD_VARIABLE, raising=False)


def test_workers_are_ready_where_at_least_half_of_them_will_train() -> None:
    grid = load(resources={"cpu": 1})
    assert most_cores_will_train(grid, num_trials=4, num_cores=8)
    assert not most_cores_will_train(grid, num_trials=3, num_cores=8)
    assert most_cores_will_train(load(resources={"cpu": 2}), num_trials=100, num_cores=8)
    assert not most_cores_will_train(load(resources={"cpu": 4}), num_trials=100, num_cores=8)
    assert most_cores_will_train(load(resources={"cpu": 0.5}), num_trials=1, num_cores=1)


def test_beside_a_gpu_cores_do_not_tell_how_many_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_preload, "GPU_DRIVERS", (__file__,))
    assert not most_cores_will_train(load(resources={"gpu": "auto"}), num_trials=9, num_cores=2)
    assert most_cores_will_train(load(resources={"gpu": 0}), num_trials=9, num_cores=2)


def test_only_ray_started_within_the_block_has_them_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    with preload_workers(load(), num_trials=10_000):
        assert os.environ[PRELOAD_VARIABLE].split(",") == list(PRELOADED_MODULES)
    assert PRELOAD_VARIABLE not in os.environ
    with preload_workers(load(), num_trials=0):
        assert PRELOAD_VARIABLE not in os.environ
    monkeypatch.setenv(PRELOAD_VARIABLE, "json")
    with preload_workers(load(), num_trials=10_000):
        assert os.environ[PRELOAD_VARIABLE] == "json"
    assert os.environ[PRELOAD_VARIABLE] == "json"


@pytest.mark.parametrize("name", PRELOADED_MODULES)
def test_what_they_import_is_there(name: str) -> None:
    importlib.import_module(name)
