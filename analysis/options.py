"""Choices of a report's reader that are made before results are seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.errors import AnalysisError


@dataclass(frozen=True)
class ReportOptions:
    """Choices of a report's reader; None leaves one to the sweep or to its default.

    Attributes:
        reference: norm that the others are compared with.
        margin: difference in error that counts as none, percentage points.
        threshold: test error in percent; the time to it is measured.
    """

    reference: str | None = None
    margin: float | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Raise `AnalysisError` for a margin or threshold out of bounds."""
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise AnalysisError(f"`0 < margin < inf` must hold, but got margin={self.margin}")
        if self.threshold is not None and not 0 < self.threshold < 100:
            raise AnalysisError(
                f"`0 < threshold < 100` must hold, but got {self.threshold} (percent)"
            )
