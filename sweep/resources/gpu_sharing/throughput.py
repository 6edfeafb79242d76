"""How many trials of a cell share a device, from what was measured of them on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MAX_PROCESSES = 8
"""More at a time gain little on a device, and their memory, CPUs and start-up still cost."""

MIN_GAIN = 1.05
"""Twice as many trials have to raise the throughput of all together by this factor."""

USABLE_MEMORY_SHARE = 0.9
"""Of the device's memory; the rest is for fragments, and for kernels that are loaded late."""


@dataclass(frozen=True)
class ThroughputProbe:
    """What was measured of a cell.

    Attributes:
        process_bytes: most device memory of one trial's process, with its CUDA context.
        device_bytes: memory of the device.
        steps_per_s: of all processes together, by how many trained at the same time (1, 2, 4, …).
    """

    process_bytes: int
    device_bytes: int
    steps_per_s: Mapping[int, float]

    def fits(self, number: int) -> bool:
        """Whether so many have room on the device."""
        return number * self.process_bytes <= USABLE_MEMORY_SHARE * self.device_bytes

    def trials_per_device(self, most: int = MAX_PROCESSES) -> int:
        """As many as raise the throughput, have room, and are at most so many; at least one."""
        best = 1
        for number in sorted(n for n in self.steps_per_s if 1 < n <= most):
            is_faster = self.steps_per_s[number] >= MIN_GAIN * self.steps_per_s.get(best, 0.0)
            if not (is_faster and self.fits(number)):
                break
            best = number
        return best

    def next_to_try(self, most: int = MAX_PROCESSES) -> int | None:
        """How many at a time to measure next: twice as many for as long as that pays."""
        if not self.steps_per_s:
            return 1
        last = max(self.steps_per_s)
        pays = self.trials_per_device(most) == last
        return 2 * last if pays and 2 * last <= most and self.fits(2 * last) else None
