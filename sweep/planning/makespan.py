"""How long a sweep takes on so many slots: whichever is free takes the next trial."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MAX_TIME_RATIO = 0.9
"""Twice the slots are worth naming while they leave at most this share of the time."""


def makespan(durations: Iterable[float], slots: int) -> float:
    """Seconds until the last trial ends, of trials that take so long, in this order."""
    if slots < 1:
        raise ValueError(f"`slots >= 1` must hold, but got slots={slots}")
    free_at = [0.0] * slots
    for duration in durations:
        heapq.heappush(free_at, heapq.heappop(free_at) + duration)
    return max(free_at)


@dataclass(frozen=True)
class SlotForecast:
    """So many slots, the seconds until the last trial ends, and the slots' hours until then."""

    slots: int
    makespan_s: float

    @property
    def slot_hours(self) -> float:
        """What is paid for: idle slots count, until the last trial ends."""
        return self.slots * self.makespan_s / 3600


def forecast_by_slots(durations: Sequence[float]) -> Iterator[SlotForecast]:
    """1, 2, 4, 8, … slots, for as long as twice the slots shorten the sweep."""
    before, slots = None, 1
    while before is None or slots <= len(durations):
        now = SlotForecast(slots, makespan(durations, slots))
        if before is not None and now.makespan_s > MAX_TIME_RATIO * before:
            return
        yield now
        before, slots = now.makespan_s, 2 * slots
