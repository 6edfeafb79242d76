"""Processes that train on one device at the same time, for a few seconds, to measure them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.process.working_folder import enter_folder
from sweep.resources.gpu_sharing.throughput import MAX_PROCESSES, ThroughputProbe

COUNTED_S = 3.0
PROBE_TIMEOUT_S = 300.0
"""For so long a process may be silent: at its start it imports PyTorch and reads the data."""


class ProbeProcessPool:
    """As many processes as have been wanted at a time; they serve one cell after the other.

    Trials are trained in a process each, so they are measured in a process each. Ray makes an
    actor of it, on a GPU that it has to itself. `folder` is the driver's working folder.
    """

    def __init__(self, import_paths: Sequence[str] = (), folder: str = "") -> None:
        enter_folder(folder)
        paths = os.pathsep.join([*(path for path in sys.path if path), *import_paths])
        self._environment = {**os.environ, "PYTHONPATH": paths}
        self._processes: list[subprocess.Popen[str]] = []
        self._context_bytes: int | None = None

    def probe(self, workload: Mapping[str, Any], most: int = MAX_PROCESSES) -> ThroughputProbe:
        """Measure a cell; raises `RuntimeError` where not even one of its trials trains.

        `workload` is what `sweep.resources.gpu_sharing.probe_process` understands.
        """
        memory = self._ask(1, workload)[0]
        if self._context_bytes is None:  # no other process of ours is there yet
            self._context_bytes = max(0, memory["used"] - memory["reserved"])
        each = memory["peak"] + self._context_bytes if memory["total"] else 0
        probe = ThroughputProbe(each, memory["total"], {})
        while (number := probe.next_to_try(most)) is not None:
            rates = {**probe.steps_per_s, number: self._steps_per_s(workload, number)}
            probe = ThroughputProbe(each, memory["total"], rates)
        return probe

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def _steps_per_s(self, workload: Mapping[str, Any], number: int) -> float:
        """Of so many together; 0 where so many do not get along, as when memory runs out."""
        new = range(max(1, number // 2), number)  # the others are ready from the last time
        try:
            for which in new:
                self._tell(which, workload)
            for which in new:
                self._answer(which)
            answers = self._ask(number, {"seconds": COUNTED_S})
            return sum(float(answer["steps_per_s"]) for answer in answers)
        except RuntimeError:
            self.close()  # what some of them would still answer, nobody asks any more
            if number == 1:
                raise
            return 0.0

    def _ask(self, number: int, order: Mapping[str, Any]) -> list[dict[str, Any]]:
        for which in range(number):
            self._tell(which, order)
        return [self._answer(which) for which in range(number)]

    def _tell(self, which: int, order: Mapping[str, Any]) -> None:
        while len(self._processes) <= which:
            self._processes.append(self._started())
        stdin = self._processes[which].stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(order) + "\n")
            stdin.flush()
        except OSError:
            pass  # it has died, as its answer will say

    def _answer(self, which: int) -> dict[str, Any]:
        stdout = self._processes[which].stdout
        assert stdout is not None
        ready, _, _ = select.select([stdout], [], [], PROBE_TIMEOUT_S)
        line = stdout.readline() if ready else ""
        if not line:
            self.close()
            raise RuntimeError("a process died" if ready else "a process does not answer")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sweep.resources.gpu_sharing.probe_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            text=True,
        )
