"""Trials that train without getting anywhere, to see what they take of a device."""

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
"""So short that processes which are measured at the same time begin and end together."""

LEAD_S = 0.5
"""Before and after what counts, so that all processes train while any of them counts."""


@dataclass(frozen=True)
class Memory:
    """Bytes of a device: at most reserved by this process, reserved now, used by all, there are."""

    peak: int
    reserved: int
    used: int
    total: int


class Workload:
    """The trials of one worker: a trial, or seeds of a cell that are trained side by side.

    Args:
        specs: they differ in their seed alone.
        width: how many are one network; None: as many as turn out to be fastest.

    Raises:
        As `Trial` does.
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
        """Optimizer steps a second over so long, those of every trial counted."""
        self._train(LEAD_S)
        found = self._train(seconds)
        self._train(LEAD_S)
        return found

    def memory(self) -> Memory:
        """What has been taken of a GPU so far; nothing of a CPU's."""
        if self._trials[0].device.type != "cuda":
            return Memory(0, 0, 0, 0)
        free, total = torch.cuda.mem_get_info()
        peak, reserved = torch.cuda.max_memory_reserved(), torch.cuda.memory_reserved()
        return Memory(peak, reserved, total - free, total)

    def _train(self, seconds: float) -> float:
        steps, start, now = 0, time.perf_counter(), 0.0
        while now < seconds:
            steps += self._advance()
            now = time.perf_counter() - start
        return steps / now

    def _advance(self) -> int:
        """Take a short stretch; how many steps the trials took in all."""
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
        wanted = int(steps * CHUNK_S / max(seconds, 1e-9))
        lockstep.pace.num_steps = max(1, min(wanted, lockstep.pace.longest))
        return steps * len(lockstep.trials)
