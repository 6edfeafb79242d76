"""One trial: its spec, the check that it can be trained, and its training.

A spec is built from its parts, and `train` yields the metrics of each epoch. Here the data set is
a custom one, a function of an importable module that returns arrays:

    >>> import sys, types
    >>> import numpy as np
    >>> from trainables import DataSpec, ModelSpec, NormSpec, TrainSpec, TrialSpec, train
    >>> def stripes():
    ...     labels = np.arange(96) % 2  # class 0: rows alternate; class 1: columns alternate
    ...     rows, columns = np.indices((8, 8)) % 2 * 255
    ...     images = np.stack([rows, columns]).astype("uint8")[labels][:, None]
    ...     return {
    ...         "train_images": images[:64],
    ...         "train_labels": labels[:64],
    ...         "test_images": images[64:],
    ...         "test_labels": labels[64:],
    ...         "num_classes": 2,
    ...     }
    >>> sys.modules["stripes"] = types.ModuleType("stripes")  # or write stripes.py
    >>> sys.modules["stripes"].load = stripes
    >>> spec = TrialSpec(
    ...     norm=NormSpec(name="groupnorm", options={"num_groups": 4}),
    ...     batch_size=4,
    ...     seed=0,
    ...     data=DataSpec(name="stripes:load"),
    ...     model=ModelSpec(name="resnet8", width=4),
    ...     train=TrainSpec(epochs=2),
    ... )
    >>> for metrics in train(spec, device="cpu"):
    ...     print(metrics.epoch, metrics.num_updates)
    1 16
    2 32
    >>> metrics.test_error
    0.0

What needs torch is imported when it is first used, so that reading a grid takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

from trainables.errors import (
    CheckpointDamaged,
    CheckpointTooNew,
    DataUnavailable,
    Diverged,
    Infeasible,
    NotDeterministic,
    NotFusable,
)
from trainables.spec import (
    DataSpec,
    Dimensions,
    EpochMetrics,
    ModelSpec,
    NormSpec,
    OptimizerSpec,
    Outcome,
    ScheduleSpec,
    TrainSpec,
    TrialSpec,
)

if TYPE_CHECKING:
    from trainables.feasibility import check_feasibility
    from trainables.training import Trial, train

__all__ = [
    "CheckpointDamaged",
    "CheckpointTooNew",
    "DataSpec",
    "DataUnavailable",
    "Dimensions",
    "Diverged",
    "EpochMetrics",
    "Infeasible",
    "ModelSpec",
    "NormSpec",
    "NotDeterministic",
    "NotFusable",
    "OptimizerSpec",
    "Outcome",
    "ScheduleSpec",
    "TrainSpec",
    "Trial",
    "TrialSpec",
    "check_feasibility",
    "train",
]


_HOMES = {"check_feasibility": "feasibility", "Trial": "training", "train": "training"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"trainables.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'trainables' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
