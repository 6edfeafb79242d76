from __future__ import annotations

import importlib
import os

import pytest
from small_grids import load

from sweep.cluster import at_hand as at_hand_module
from sweep.cluster.at_hand import MODULES, PRELOAD, at_hand, most_will_train


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_hand_module, "GPU_DRIVERS", ())
    monkeypatch.delenv(PRELOAD, raising=False)


def test_workers_are_ready_where_at_least_half_of_them_will_train() -> None:
    grid = load(resources={"cpu": 1})
    assert most_will_train(grid, num_trials=4, num_cores=8)
    assert not most_will_train(grid, num_trials=3, num_cores=8)
    assert most_will_train(load(resources={"cpu": 2}), num_trials=100, num_cores=8)
    assert not most_will_train(load(resources={"cpu": 4}), num_trials=100, num_cores=8)
    assert most_will_train(load(resources={"cpu": 0.5}), num_trials=1, num_cores=1)


def test_beside_a_gpu_cores_do_not_tell_how_many_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_hand_module, "GPU_DRIVERS", (__file__,))
    assert not most_will_train(load(resources={"gpu": "auto"}), num_trials=9, num_cores=2)
    assert most_will_train(load(resources={"gpu": 0}), num_trials=9, num_cores=2)


def test_only_ray_started_within_the_block_has_them_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    with at_hand(load(), num_trials=10_000):
        assert os.environ[PRELOAD].split(",") == list(MODULES)
    assert PRELOAD not in os.environ
    with at_hand(load(), num_trials=0):
        assert PRELOAD not in os.environ
    monkeypatch.setenv(PRELOAD, "json")
    with at_hand(load(), num_trials=10_000):
        assert os.environ[PRELOAD] == "json"
    assert os.environ[PRELOAD] == "json"


@pytest.mark.parametrize("name", MODULES)
def test_what_they_import_is_there(name: str) -> None:
    importlib.import_module(name)
