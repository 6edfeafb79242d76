"""Trials that train with unchanging weights, to measure their use of a device."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from trainables.fused.lockstep import LockstepTraining
from trainables.spec import TrialSpec
from trainables.timing import without_weight_changes
from trainables.training import Trial

CHUNK_S = 0.1
"""Seconds of a chunk of steps: short, so that processes measured together begin and end so."""

LEAD_S = 0.5
"""Seconds of training before and after the measured time, so that all processes train during it."""


@dataclass(frozen=True)
class DeviceMemory:
    """Bytes of a device's memory.

    Attributes:
        peak: the most that this process has reserved.
        reserved: reserved by this process now.
        used: used by all processes now.
        total: memory of the device.
    """

    peak: int
    reserved: int
    used: int
    total: int


class Workload:
    """The trials of one worker: a single trial, or seeds of a cell that are trained side by side.

    Args:
        specs: they differ in their seed alone.
        width: how many trials train as one network; None: the number that proves fastest.
        data_root: folder of the data sets, as for `train`.
        device: device to train on, as for `train`.
        cuda_graphs: whether steps on a GPU are replayed from a CUDA graph.

    Raises as `Trial`.
    """

    def __init__(
        self,
        specs: Sequence[TrialSpec],
        *,
        width: int | None = 1,
        data_root: str | os.PathLike[str] | None = None,
        device: torch.device | str | None = None,
        cuda_graphs: bool = False,
    ) -> None:
        still = [without_weight_changes(spec) for spec in specs]
        self._trials = [
            Trial(spec, data_root=data_root, device=device, cuda_graphs=cuda_graphs)
            for spec in still
        ]
        self._lockstep = LockstepTraining(self._trials, width)

    def warm_up(self) -> None:
        """Take the first steps, which are slow, and test once as at an epoch's end."""
        self._advance()
        while self._lockstep.width.num_steps:
            self._advance()
        for trial in self._lockstep.trials:
            current = trial.current_epoch()
            current.num_steps = current.examples.num_batches
        self._lockstep.advance()
        self._advance()

    def train_for(self, seconds: float) -> float:
        """Train for about `seconds`; return optimizer steps a second, of all trials together."""
        self._train(LEAD_S)
        found = self._train(seconds)
        self._train(LEAD_S)
        return found

    def memory(self) -> DeviceMemory:
        """Return the memory that the workload uses on a GPU; zeros on a CPU."""
        if self._trials[0].device.type != "cuda":
            return DeviceMemory(0, 0, 0, 0)
        free, total = torch.cuda.mem_get_info()
        peak, reserved = torch.cuda.max_memory_reserved(), torch.cuda.memory_reserved()
        return DeviceMemory(peak, reserved, total - free, total)

    def _train(self, seconds: float) -> float:
        """Train for about `seconds` and return the optimizer steps a second."""
        steps, start, now = 0, time.perf_counter(), 0.0
        while now < seconds:
            steps += self._advance()
            now = time.perf_counter() - start
        return steps / now

    def _advance(self) -> int:
        """Train for one short chunk and return the number of steps, summed over the trials."""
        lockstep = self._lockstep
        if not lockstep.trials:
            raise RuntimeError("the trials diverged at once")
        if lockstep.trials[0].current_epoch().is_done:
            for trial in lockstep.trials:
                trial.current = None
        before, start = lockstep.trials[0].steps_into_epoch, time.perf_counter()
        lockstep.advance()
        seconds = time.perf_counter() - start
        if not lockstep.trials:
            return 0
        steps = lockstep.trials[0].steps_into_epoch - before
        num_steps = int(steps * CHUNK_S / max(seconds, 1e-9))
        lockstep.chunk_sizer.num_steps = max(1, min(num_steps, lockstep.chunk_sizer.longest))
        return steps * len(lockstep.trials)
