"""One trial: its spec, whether it can be trained, and its training.

What needs torch is imported when it is first asked for, so that reading a grid takes no time.
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
)
from trainables.spec import Dimensions, EpochMetrics, Outcome, TrialSpec

if TYPE_CHECKING:
    from trainables.feasibility import check
    from trainables.training import Trial, train

__all__ = [
    "CheckpointDamaged",
    "CheckpointTooNew",
    "DataUnavailable",
    "Dimensions",
    "Diverged",
    "EpochMetrics",
    "Infeasible",
    "NotDeterministic",
    "Outcome",
    "Trial",
    "TrialSpec",
    "check",
    "train",
]


_HOMES = {"check": "feasibility", "Trial": "training", "train": "training"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"trainables.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'trainables' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
