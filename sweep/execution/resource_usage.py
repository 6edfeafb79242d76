"""CPU time and memory of a worker's process, read at the end of each epoch."""

from __future__ import annotations

import time

from trainables.memory import resident_bytes

MEGABYTE = 1e6


class ProcessUsage:
    """Measures what this process has used since the last reading, or since the attempt began.

    Seeds that are trained side by side in one process all get the values of the process.
    """

    def __init__(self, device: str) -> None:
        self._gpu = device if device.startswith("cuda") else None
        self._wall, self._cpu = time.monotonic(), time.process_time()
        if self._gpu:
            import torch

            torch.cuda.reset_peak_memory_stats(self._gpu)

    def read(self) -> dict[str, float]:
        """Return CPU time (percent of one core), resident memory and peak GPU memory (MB), by name.

        The peak is that of torch's memory since the attempt began. Resident memory is left out
        where the system has no `/proc`.
        """
        wall, cpu = time.monotonic(), time.process_time()
        found = {"process_cpu_percentage": 100 * (cpu - self._cpu) / max(wall - self._wall, 1e-9)}
        self._wall, self._cpu = wall, cpu
        if (num_bytes := resident_bytes()) is not None:
            found["process_memory_megabytes"] = num_bytes / MEGABYTE
        if self._gpu:
            import torch

            peak = torch.cuda.max_memory_allocated(self._gpu)
            found["process_gpu_memory_peak_megabytes"] = peak / MEGABYTE
        return {name: round(value, 1) for name, value in found.items()}
