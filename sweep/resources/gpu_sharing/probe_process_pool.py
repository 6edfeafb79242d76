"""Processes that train on one device at the same time, for a few seconds, to measure them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TypeVar

from sweep.process.working_folder import enter_folder
from sweep.resources.gpu_sharing.probe_process import ProbeProcess, WorkloadSpec
from sweep.resources.gpu_sharing.throughput import MAX_PROCESSES, ThroughputProbe

TRAINING_S = 3.0
"""Seconds of training that are measured."""

PROBE_TIMEOUT_S = 300.0
"""Seconds for one answer of a process: at its start it imports PyTorch and reads the data."""

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


class ProbeProcessPool:
    """Measures how fast processes train on a device, by how many train at the same time.

    Trials are trained in a process each, so they are measured in a process each. Processes are
    kept for the next measurement. Ray makes an actor of the pool, on a GPU that nothing else uses.

    Args:
        import_paths: folders in which the processes find custom modules.
        folder: the driver's working folder.
    """

    def __init__(self, import_paths: Sequence[str] = (), folder: str = "") -> None:
        enter_folder(folder)
        self._import_paths = import_paths
        self._processes: list[ProbeProcess] = []
        self._context_bytes: int | None = None

    def probe(self, workload: WorkloadSpec, most: int = MAX_PROCESSES) -> ThroughputProbe:
        """Measure memory and throughput of a workload.

        Args:
            workload: what each process trains.
            most: how many processes may train at the same time.

        Raises:
            RuntimeError: the workload does not train in one process alone.
        """
        (first,) = self._get_processes(1)
        memory = self._wait_for(first.prepare(workload))
        if self._context_bytes is None:  # no other process of the pool is there yet
            self._context_bytes = max(0, memory.used - memory.reserved)
        process_bytes = memory.peak + self._context_bytes if memory.total else 0
        probe = ThroughputProbe(process_bytes, memory.total, {})
        while (number := probe.next_to_try(most)) is not None:
            rates = {**probe.steps_per_s, number: self._measure_throughput(workload, number)}
            probe = ThroughputProbe(process_bytes, memory.total, rates)
            logger.info("%d processes train %.1f steps/s together", number, rates[number])
        return probe

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
        self._processes.clear()

    def _measure_throughput(self, workload: WorkloadSpec, number: int) -> float:
        """Return the steps per second of `number` processes together.

        0 where that many do not work together, as when memory runs out.
        """
        try:
            processes = self._get_processes(number)
            unprepared = processes[number // 2 :] if number > 1 else []
            for ready in [process.prepare(workload) for process in unprepared]:
                self._wait_for(ready)
            rates = [process.train(TRAINING_S) for process in processes]
            return sum(self._wait_for(rate) for rate in rates)
        except RuntimeError as error:
            logger.info("%d processes do not train together: %s", number, error)
            self.close()  # the others may still be training
            if number == 1:
                raise
            return 0.0

    def _get_processes(self, number: int) -> list[ProbeProcess]:
        """Return the first `number` processes; start those that are not there."""
        while len(self._processes) < number:
            self._processes.append(self._start_process())
        return self._processes[:number]

    def _start_process(self) -> ProbeProcess:
        """Return a new process of the pool."""
        return ProbeProcess(self._import_paths)

    def _wait_for(self, answer: Future[Answer]) -> Answer:
        """Return a process's answer; raise `RuntimeError` if there is none."""
        try:
            return answer.result(PROBE_TIMEOUT_S)
        except TimeoutError:
            self.close()
            raise RuntimeError("a process does not answer") from None
