from __future__ import annotations

import pytest
from small_grids import factors, load

from sweep.grid.expand import GridTrial
from sweep.grid.variant import Variant
from sweep.planning.cost import CostModel, steps_per_epoch


def trials() -> dict[tuple[str, int], GridTrial]:
    return {(t.norm, t.spec.batch_size): t for t in load(**factors(batch_size=[16, 12, 8])).trials}


def test_steps_leave_out_the_last_short_batch() -> None:
    sizes = {size: steps_per_epoch(trial) for (_, size), trial in trials().items()}
    assert sizes == {16: 4, 12: 5, 8: 8}


def test_without_a_measurement_a_step_is_a_second() -> None:
    costs, grid = CostModel(), trials()
    assert not costs.is_measured
    assert costs.epoch_s(grid["batchnorm", 8]) == 8
    assert costs.remaining_s(grid["batchnorm", 8], epochs_done=1) == 16
    assert costs.remaining_s(grid["batchnorm", 8], epochs_done=9) == 0


def test_the_nearest_thing_that_was_measured_is_taken() -> None:
    costs, grid = CostModel(), trials()
    costs.observe(grid["batchnorm", 16], 4.0)
    costs.observe(grid["batchnorm", 16], 8.0)
    costs.observe(grid["batchnorm", 12], 10.0)
    assert costs.is_measured
    assert costs.epoch_s(grid["batchnorm", 16]) == pytest.approx(6.0)  # its cell's mean
    step_s = (4 / 4 + 8 / 4 + 10 / 5) / 3
    assert costs.epoch_s(grid["batchnorm", 8]) == pytest.approx(8 * step_s)  # its norm's
    assert costs.epoch_s(grid["groupnorm", 8]) == pytest.approx(8 * step_s)  # everybody's
    costs.observe(grid["groupnorm", 16], 40.0)
    assert costs.epoch_s(grid["groupnorm", 8]) == pytest.approx(80.0)
    assert costs.epoch_s(grid["batchnorm", 8]) == pytest.approx(8 * step_s)


def test_another_model_is_not_taken_for_this_one() -> None:
    trials = load(**factors(**{"model.width": [4, 8]})).trials
    by = {(t.norm, t.variant, t.spec.batch_size): t for t in trials}
    narrow, wide = dict.fromkeys(t.variant for t in trials)
    costs = CostModel()
    costs.observe(by["batchnorm", narrow, 16], 4.0)
    costs.observe(by["groupnorm", wide, 16], 40.0)
    assert costs.epoch_s(by["batchnorm", wide, 16]) == pytest.approx(40.0)
    assert costs.epoch_s(by["groupnorm", narrow, 8]) == pytest.approx(8.0)


def test_timed_steps_stand_in_until_an_epoch_is_observed() -> None:
    grid = trials()
    costs = CostModel({("batchnorm", Variant(), 16): 3.0})
    assert costs.is_measured
    assert costs.epoch_s(grid["batchnorm", 16]) == 3.0
    costs.observe(grid["batchnorm", 16], 5.0)
    assert costs.epoch_s(grid["batchnorm", 16]) == 5.0
