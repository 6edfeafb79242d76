from __future__ import annotations

import dataclasses

import pytest
from trial_specs import shrink_trial, with_train

from trainables.timing import time_epoch, time_widths


@pytest.mark.parametrize("eval_statistics", [(), ("precise",), ("batch",)])
def test_an_epoch_is_its_steps_and_its_test(eval_statistics: tuple[str, ...]) -> None:
    spec = with_train(shrink_trial(), eval_statistics=eval_statistics)
    found = time_epoch(spec, device="cpu")
    assert found.step_s > 0
    assert found.eval_s > 0
    assert found.train_s == pytest.approx(found.step_s * (100 // spec.batch_size))
    assert found.epoch_s == found.train_s + found.eval_s


def test_what_diverges_can_be_timed() -> None:
    assert time_epoch(shrink_trial(lr=1e30), device="cpu").step_s > 0


@pytest.mark.parametrize("batch_size", [2, 50])
def test_seeds_are_timed_at_every_width(batch_size: int) -> None:
    spec = shrink_trial(batch_size=batch_size, lr=1e30)
    specs = [dataclasses.replace(spec, seed=seed) for seed in range(4)]
    found = time_widths(specs, device="cpu")
    assert set(found) == {1, 2, 4}
    assert all(seconds > 0 for seconds in found.values())
