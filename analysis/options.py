"""What a reader of a report may declare beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.errors import AnalysisError


@dataclass(frozen=True)
class Options:
    """What a reader may declare beforehand; None leaves it to the sweep or to the defaults.

    `margin`, in percentage points, is the difference taken to be none; `threshold`, in percent,
    the test error whose first reaching is timed.
    """

    reference: str | None = None
    margin: float | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise AnalysisError(f"`0 < margin < inf` must hold, but got margin={self.margin}")
        if self.threshold is not None and not 0 < self.threshold < 100:
            raise AnalysisError(
                f"`0 < threshold < 100` must hold, but got {self.threshold} (percent)"
            )
