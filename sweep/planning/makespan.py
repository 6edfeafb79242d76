"""How long a sweep takes on a number of slots: the first free slot takes the next trial."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MAX_TIME_RATIO = 0.9
"""Twice the slots are listed while they need at most this share of the makespan."""


def makespan(durations: Iterable[float], slots: int) -> float:
    """Return the seconds until the last trial ends.

    Args:
        durations: the seconds of each trial, in the order in which they start.
        slots: how many trials are trained at once.

    Raises:
        ValueError: if there is no slot.
    """
    if slots < 1:
        raise ValueError(f"`slots >= 1` must hold, but got slots={slots}")
    free_at = [0.0] * slots
    for duration in durations:
        heapq.heappush(free_at, heapq.heappop(free_at) + duration)
    return max(free_at)


@dataclass(frozen=True)
class SlotForecast:
    """The makespan of a sweep on a number of slots, in seconds."""

    slots: int
    makespan_s: float

    @property
    def slot_hours(self) -> float:
        """The hours of all slots until the last trial ends; idle slots count."""
        return self.slots * self.makespan_s / 3600


def forecast_by_slots(durations: Sequence[float]) -> Iterator[SlotForecast]:
    """Yield the makespan on 1, 2, 4, 8, … slots, while twice the slots shorten the sweep."""
    before, slots = None, 1
    while before is None or slots <= len(durations):
        now = SlotForecast(slots, makespan(durations, slots))
        if before is not None and now.makespan_s > MAX_TIME_RATIO * before:
            return
        yield now
        before, slots = now.makespan_s, 2 * slots
