"""How many trials of a cell share a device, by measured memory and throughput."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MAX_PROCESSES = 8
"""Most processes on a device: more gain little, and cost memory, CPUs and start-up."""

MIN_GAIN = 1.05
"""Factor by which twice as many trials have to raise the throughput of all together."""

USABLE_MEMORY_SHARE = 0.9
"""Share of the device's memory; the rest is for fragments, and for kernels loaded later."""


@dataclass(frozen=True)
class ThroughputProbe:
    """Memory and throughput of a cell's trials on a device.

    Attributes:
        process_bytes: most device memory of one trial's process, with its CUDA context.
        device_bytes: memory of the device.
        steps_per_s: of all processes together, by how many trained at the same time (1, 2, 4, …).
    """

    process_bytes: int
    device_bytes: int
    steps_per_s: Mapping[int, float]

    def fits(self, number: int) -> bool:
        """Whether the memory of `number` processes fits on the device."""
        return number * self.process_bytes <= USABLE_MEMORY_SHARE * self.device_bytes

    def trials_per_device(self, most: int = MAX_PROCESSES) -> int:
        """Return how many trials share the device: doubled while that pays and fits; at least 1."""
        best = 1
        for number in sorted(n for n in self.steps_per_s if 1 < n <= most):
            is_faster = self.steps_per_s[number] >= MIN_GAIN * self.steps_per_s.get(best, 0.0)
            if not (is_faster and self.fits(number)):
                break
            best = number
        return best

    def next_to_try(self, most: int = MAX_PROCESSES) -> int | None:
        """Return the next number of processes to measure; None if more would not pay."""
        if not self.steps_per_s:
            return 1
        last = max(self.steps_per_s)
        pays = self.trials_per_device(most) == last
        return 2 * last if pays and 2 * last <= most and self.fits(2 * last) else None
