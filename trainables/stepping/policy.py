"""When a trial's steps are to run compiled: what was measured goes in, a decision comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from trainables.stepping.eager import Ranges

MIN_STEPS_SAVED = 0.97
"""Of what a trial takes eager: the most that it may take with compilation, and a compiled step."""

MARGIN = 1.5
"""A compilation is expected to take this many times as long as the last one of its kind."""

TIMED_S, TIMED_STRETCHES = 0.3, 3
"""A step is timed over this many seconds and stretches at least."""


class Policy(Protocol):
    """Decides before each stretch, and is told how long it took."""

    def wants(self, number: int) -> bool:
        """Whether step `number`, counted from 0, is to run compiled."""

    def until(self, number: int) -> int | None:
        """The next step at which the answer is known to be another; None: not known."""

    def compiled_in(self, seconds: float) -> None:
        """Told that the compilation is done."""

    def observe(self, num_steps: int, seconds: float, *, compiled: bool) -> None:
        """Told how long a stretch took."""


class FixedRanges:
    """Exactly these steps; what was decided before."""

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges

    def wants(self, number: int) -> bool:
        """Whether the step is in one of the ranges."""
        return any(
            (first or 0) <= number and (end is None or number < end) for first, end in self.ranges
        )

    def until(self, number: int) -> int | None:
        """Where the next range begins or ends."""
        marks = [mark for pair in self.ranges for mark in pair if mark is not None]
        return min((mark for mark in marks if mark > number), default=None)

    def compiled_in(self, seconds: float) -> None:
        """Changes nothing."""

    def observe(self, num_steps: int, seconds: float, *, compiled: bool) -> None:
        """Changes nothing."""


@dataclass(frozen=True)
class CompileStatistics:
    """What compiling a cell's step cost and brought.

    `compile_s`: seconds of the last compilation. `share`: what a compiled step takes of an eager
    one; None where that was never measured.
    """

    compile_s: float
    share: float | None = None


class StepTimes:
    """How long a step takes: as in the middle one of all steps, each taken as its stretch's mean.

    The first stretch warms up and does not count.
    """

    def __init__(self) -> None:
        self._timed: list[tuple[float, int]] = []
        self._is_warm = False

    def add(self, num_steps: int, seconds: float) -> None:
        """Take in a stretch."""
        if self._is_warm:
            self._timed.append((seconds / num_steps, num_steps))
        self._is_warm = True

    @property
    def step_s(self) -> float | None:
        """Seconds of a step; None while it has not been timed for long enough."""
        latest = sorted(self._timed[-3 * TIMED_STRETCHES :])
        if len(latest) < TIMED_STRETCHES or sum(s * n for s, n in latest) < TIMED_S:
            return None
        so_far = accumulate(num_steps for _, num_steps in latest)
        middle = sum(num_steps for _, num_steps in latest) / 2
        return next(step_s for (step_s, _), n in zip(latest, so_far, strict=True) if n >= middle)


class AutoPolicy:
    """Eager at first; compiled where the steps that are left repay it, and only while it is faster.

    Where it is not known what compiling brings, it is tried if the trial loses little by it even if
    it brings nothing.

    Args:
        num_steps: optimizer steps of the whole trial.
        known: of this cell; without a `share`, what the compilation is thought to cost.
        learnt: is told what was measured.
    """

    def __init__(
        self,
        num_steps: int,
        known: CompileStatistics,
        learnt: Callable[[CompileStatistics], None] = lambda _: None,
    ) -> None:
        self.num_steps, self.known, self.learnt = num_steps, known, learnt
        self._eager, self._compiled = StepTimes(), StepTimes()
        self._wants = False
        self._is_settled = False

    def wants(self, number: int) -> bool:
        """Decided anew until it is compiled, then once more when compiled steps have been timed."""
        step_s = self._eager.step_s
        if not self._wants and not self._is_settled and step_s is not None:
            self._wants = repays(self.known, step_s, self.num_steps - number)
        return self._wants

    def until(self, number: int) -> int | None:
        """Never known beforehand."""

    def compiled_in(self, seconds: float) -> None:
        """Remember what it cost."""
        self.known = CompileStatistics(seconds, self.known.share)

    def observe(self, num_steps: int, seconds: float, *, compiled: bool) -> None:
        """Take the time; once compiled steps have been timed too, go back if they are no faster."""
        (self._compiled if compiled else self._eager).add(num_steps, seconds)
        eager_s, compiled_s = self._eager.step_s, self._compiled.step_s
        if not self._is_settled and eager_s is not None and compiled_s is not None:
            self.known = CompileStatistics(self.known.compile_s, compiled_s / eager_s)
            self._is_settled = True
            self._wants = compiled_s < MIN_STEPS_SAVED * eager_s
            self.learnt(self.known)


def repays(known: CompileStatistics, step_s: float, steps_left: int) -> bool:
    """Whether compiling now is expected to pay: all told, in `MIN_STEPS_SAVED` of the time eager.

    Where its share is not known, whether a compilation that brings nothing would lose no more than
    that says.
    """
    left_s, cost_s = step_s * steps_left, MARGIN * known.compile_s
    if known.share is None:
        return cost_s <= (1 - MIN_STEPS_SAVED) * left_s
    return cost_s + known.share * left_s <= MIN_STEPS_SAVED * left_s
