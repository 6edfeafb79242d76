import dataclasses
import math
import re
from typing import Any

import pytest
from trial_specs import small_spec, with_train

from trainables.bounds import check_bounds
from trainables.spec import DataSpec, ModelSpec, OptimizerSpec, ScheduleSpec


def test_values_at_their_bounds_are_taken() -> None:
    spec = small_spec(batch_size=1, seed=0, epochs=1, momentum=0.0, weight_decay=0.0)
    check_bounds(
        with_train(spec, schedule=ScheduleSpec(name="multistep", milestones=(1,), gamma=1))
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "`batch_size >= 1` must hold, but got batch_size=0"),
        ({"seed": -1}, "`seed >= 0` must hold, but got seed=-1"),
        ({"data": DataSpec(name="digits", num_train=0)}, "`data.num_train >= 1` must hold"),
        ({"model": ModelSpec(name="resnet8", width=-2)}, "`model.width >= 1` must hold"),
        ({"data": DataSpec(name="digits", augment="crop")}, "but got data.augment='crop'"),  # type: ignore[arg-type]
    ],
)
def test_a_value_out_of_bounds_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_bounds(dataclasses.replace(small_spec(), **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": OptimizerSpec(lr=math.nan)}, "`train.optimizer.lr > 0` must hold"),
        ({"optimizer": OptimizerSpec(momentum=1.0)}, "`train.optimizer.momentum < 1` must hold"),
        ({"schedule": ScheduleSpec(milestones=(3, 0))}, "`train.schedule.milestones >= 1`"),
        ({"schedule": ScheduleSpec(gamma=1.5)}, "`train.schedule.gamma <= 1` must hold"),
        ({"lr_scaling": "square"}, "must be one of none, linear, sqrt"),
    ],
)
def test_training_values_are_named_by_their_path(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_bounds(with_train(small_spec(), **changes))
