"""Specs of trials that take a fraction of a second."""

import dataclasses
from typing import Any

from trainables.spec import (
    DataSpec,
    ModelSpec,
    NormSpec,
    OptimizerSpec,
    ScheduleSpec,
    TrainSpec,
    TrialSpec,
)


def shrink_trial(
    norm: str = "batchnorm",
    *,
    batch_size: int = 8,
    seed: int = 0,
    epochs: int = 2,
    options: dict[str, Any] | None = None,
    data: DataSpec | None = None,
    model: ModelSpec | None = None,
    schedule: ScheduleSpec | None = None,
    **optimizer: Any,
) -> TrialSpec:
    return TrialSpec(
        norm=NormSpec(name=norm, options=options or {}),
        batch_size=batch_size,
        seed=seed,
        data=data or DataSpec(name="digits", num_train=100, num_test=30),
        model=model or ModelSpec(name="resnet8", width=4),
        train=TrainSpec(
            epochs=epochs,
            optimizer=OptimizerSpec(**{"lr": 0.05, **optimizer}),
            schedule=schedule or ScheduleSpec(),
        ),
    )


def with_train(spec: TrialSpec, **changes: Any) -> TrialSpec:
    return dataclasses.replace(spec, train=dataclasses.replace(spec.train, **changes))
