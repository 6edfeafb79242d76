"""Policies that decide from measured times which steps of a trial run compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from trainables.epoch import Ranges

MAX_RELATIVE_TIME = 0.97
"""Largest share of the eager time that a compiled step, or a trial with compilation, may take."""

MARGIN = 1.5
"""Expected duration of a compilation as a multiple of the last one of the same cell."""

TIMED_S, TIMED_CHUNKS = 0.3, 3
"""Seconds and chunks over which a step is timed at least."""


class Policy(Protocol):
    """Decides before each chunk whether to compile it, from the times of the chunks before."""

    def should_compile(self, number: int) -> bool:
        """Whether step `number`, counted from 0, is to run compiled."""

    def next_change(self, number: int) -> int | None:
        """Return the next step at which `should_compile` changes; None if unknown."""

    def record_compilation(self, seconds: float) -> None:
        """Record the seconds that the compilation took."""

    def observe(self, num_steps: int, seconds: float, *, compiled: bool) -> None:
        """Record the seconds that a chunk of steps took."""


class FixedRanges:
    """A policy that compiles exactly the steps in given ranges, decided earlier."""

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges

    def should_compile(self, number: int) -> bool:
        """Whether the step is in one of the ranges."""
        return any(
            (first or 0) <= number and (end is None or number < end) for first, end in self.ranges
        )

    def next_change(self, number: int) -> int | None:
        """Return the step at which the next range begins or ends."""
        marks = [mark for pair in self.ranges for mark in pair if mark is not None]
        return min((mark for mark in marks if mark > number), default=None)

    def record_compilation(self, seconds: float) -> None:
        """Do nothing: the ranges do not depend on how long a compilation takes."""

    def observe(self, num_steps: int, seconds: float, *, compiled: bool) -> None:
        """Do nothing: the ranges do not depend on how long a chunk of steps takes."""


@dataclass(frozen=True)
class CompileStatistics:
    """Compile time and speed-up of a cell's step.

    Attributes:
        compile_s: seconds of the last compilation.
        share: time of a compiled step as a share of an eager one; None if never measured.
    """

    compile_s: float
    share: float | None = None


class StepTimes:
    """The median time of a step, where each step counts with its chunk's mean.

    The first chunk warms up and does not count.
    """

    def __init__(self) -> None:
        self._timed: list[tuple[float, int]] = []
        self._is_warm = False

    def add(self, num_steps: int, seconds: float) -> None:
        """Add the `seconds` that a chunk of `num_steps` steps took."""
        if self._is_warm:
            self._timed.append((seconds / num_steps, num_steps))
        self._is_warm = True

    @property
    def step_s(self) -> float | None:
        """Seconds of a step; None until it has been timed for long enough."""
        latest = sorted(self._timed[-3 * TIMED_CHUNKS :])
        if len(latest) < TIMED_CHUNKS or sum(s * n for s, n in latest) < TIMED_S:
            return None
        so_far = accumulate(num_steps for _, num_steps in latest)
        middle = sum(num_steps for _, num_steps in latest) / 2
        return next(step_s for (step_s, _), n in zip(latest, so_far, strict=True) if n >= middle)


class AutoPolicy:
    """A policy that compiles if the remaining steps save more time than compilation takes.

    The first steps are eager. If the speed-up is unknown, the steps are compiled if the trial would
    lose little without any speed-up. Compiled steps that prove slower than eager ones are given up.

    Args:
        num_steps: optimizer steps of the whole trial.
        statistics: of this cell; without a `share`, `compile_s` is an estimate.
        on_measured: receives the measured statistics.
    """

    def __init__(
        self,
        num_steps: int,
        statistics: CompileStatistics,
        on_measured: Callable[[CompileStatistics], None] = lambda _: None,
    ) -> None:
        self.num_steps, self.statistics, self.on_measured = num_steps, statistics, on_measured
        self._eager, self._compiled = StepTimes(), StepTimes()
        self._is_compiling = False
        self._is_settled = False

    def should_compile(self, number: int) -> bool:
        """Whether compiling pays, decided anew until compiled steps have been timed."""
        step_s = self._eager.step_s
        if not self._is_compiling and not self._is_settled and step_s is not None:
            self._is_compiling = is_worth_compiling(
                self.statistics, step_s, self.num_steps - number
            )
        return self._is_compiling

    def next_change(self, number: int) -> int | None:
        """Return None: at which step `should_compile` changes depends on times still to come."""

    def record_compilation(self, seconds: float) -> None:
        """Replace the estimated compile time by the measured one."""
        self.statistics = CompileStatistics(seconds, self.statistics.share)

    def observe(self, num_steps: int, seconds: float, *, compiled: bool) -> None:
        """Record a chunk's time; once compiled steps are timed, choose the faster kind."""
        (self._compiled if compiled else self._eager).add(num_steps, seconds)
        eager_s, compiled_s = self._eager.step_s, self._compiled.step_s
        if not self._is_settled and eager_s is not None and compiled_s is not None:
            self.statistics = CompileStatistics(self.statistics.compile_s, compiled_s / eager_s)
            self._is_settled = True
            self._is_compiling = compiled_s < MAX_RELATIVE_TIME * eager_s
            self.on_measured(self.statistics)


def is_worth_compiling(statistics: CompileStatistics, step_s: float, steps_left: int) -> bool:
    """Whether compiling now is expected to keep within `MAX_RELATIVE_TIME` of the eager time.

    With an unknown speed-up: whether a compilation without any speed-up would lose no more than
    1 - `MAX_RELATIVE_TIME` of the eager time.
    """
    left_s, cost_s = step_s * steps_left, MARGIN * statistics.compile_s
    if statistics.share is None:
        return cost_s <= (1 - MAX_RELATIVE_TIME) * left_s
    return cost_s + statistics.share * left_s <= MAX_RELATIVE_TIME * left_s
