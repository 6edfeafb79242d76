"""An epoch as a record holds it: its metrics, and when they were committed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trainables.spec import EpochMetrics

METRICS = tuple(item.name for item in dataclasses.fields(EpochMetrics) if item.name != "extra")
"""Names of the metrics that every epoch has, in the order in which they are written."""


@dataclass(frozen=True, eq=False)
class EpochRecord:
    """One committed epoch of a trial.

    JSON has no infinity and no NaN: both are written as null, and null is read as NaN. Two epochs
    are equal if they are written alike.

    Attributes:
        timestamp_ms: when the epoch was first committed, in milliseconds since 1970.
        metrics: what `trainables.train` yielded for the epoch.
    """

    timestamp_ms: int
    metrics: EpochMetrics

    @property
    def epoch(self) -> int:
        """Number of the epoch, from 1."""
        return self.metrics.epoch

    @property
    def test_error(self) -> float | None:
        """Test error in percent; None if it is not finite."""
        return _finite_or_none(self.metrics.test_error)

    @property
    def seconds(self) -> float:
        """Seconds of training and evaluation."""
        times = (self.metrics.train_s, self.metrics.eval_s)
        return sum((_finite_or_none(seconds) or 0.0 for seconds in times), 0.0)

    @cached_property  # a record is written at each epoch's end, with all epochs before it
    def values(self) -> Mapping[str, float | None]:
        """Every metric by its name, None where it is not finite."""
        return {name: _finite_or_none(value) for name, value in self.metrics.values().items()}

    def to_json(self) -> dict[str, float | None]:
        """Return the JSON object of the epoch."""
        return {"timestamp_ms": self.timestamp_ms, **self.values}

    @staticmethod
    def from_json(data: object) -> EpochRecord:
        """Return the epoch that a JSON object holds; raise `ValueError` for anything else."""
        if not isinstance(data, dict) or not isinstance(data.get("epoch"), int):
            raise ValueError(f"expected an epoch with its number, found {data!r}")
        for name, value in data.items():
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                raise ValueError(f"{name} of epoch {data['epoch']} is {value!r}")
        metrics: dict[str, Any] = {
            key: math.nan if value is None else value for key, value in data.items()
        }
        timestamp_ms = metrics.pop("timestamp_ms")
        common = {name: metrics.pop(name) for name in METRICS}
        return EpochRecord(timestamp_ms, EpochMetrics(**common, extra=metrics))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EpochRecord) and self.to_json() == other.to_json()


def _finite_or_none(value: float) -> float | None:
    """Return the value, or None if it is NaN or infinite."""
    return value if math.isfinite(value) else None
