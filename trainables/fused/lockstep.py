"""Training of a cell's trials step by step together, fused as far as fusing is faster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import torch

from trainables.epoch import ChunkSizer
from trainables.errors import Diverged, NotFusable
from trainables.fused.trials import FusedTrials, Progress, require_same_cell_and_step
from trainables.fused.width import WidthSelector
from trainables.training import Trial


class SingleTrial:
    """One trial with the methods of `FusedTrials`, for trials that are not fused."""

    def __init__(self, trial: Trial) -> None:
        self.trials = [trial]
        self.chunk_sizer = trial.chunk_sizer
        # What is left of networks side by side may lie as no model alone has it.
        for parameter, velocity in trial.optimizer.velocities.items():
            parameter.data = parameter.data.contiguous()
            velocity.data = velocity.data.contiguous()

    def pause_switching(self, is_switching_paused: bool) -> None:
        """Set whether the trial keeps its present kind of steps, eager or compiled.

        The switch is paused while the speed of different numbers of fused networks is compared.
        """
        self.trials[0].steps.is_switching_paused = is_switching_paused

    def advance(self) -> list[Progress]:
        """Advance the trial and return its progress in a list, as `FusedTrials.advance`."""
        try:
            return [self.trials[0].advance()]
        except Diverged as end:
            return [end]


SeedGroup: TypeAlias = SingleTrial | FusedTrials
"""Trials that advance together."""


class LockstepTraining:
    """Trials that differ in their seed alone, all at the same step after every `advance`.

    Args:
        trials: at least one; all at the same epoch and step.
        width: how many trials train as one network; None: the number that proves fastest.

    Attributes:
        trials: the trials in training.
        width: how many of them train as one network.
        chunk_sizer: the number of steps of a chunk once the width is chosen.
        not_fusable: why the trials cannot be fused; None if nothing prevents fusing.
        side_by_side: for each trial of the last `advance`, how many trials its network held.

    Raises:
        ValueError: trials of different cells, or at different steps.
    """

    def __init__(self, trials: Sequence[Trial], width: int | None = None) -> None:
        require_same_cell_and_step(trials)
        self.trials = list(trials)
        self.width = WidthSelector(len(self.trials), width)
        self.not_fusable: str | None = None
        self.side_by_side = [1] * len(self.trials)
        self._groups: list[SeedGroup] = []
        self._groups_width = 0
        spec, device = self.trials[0].spec, self.trials[0].device
        # Of a thread's own time, work of others on the same cores takes nothing.
        own = device.type == "cpu" and torch.get_num_threads() == 1
        self._clock = time.thread_time if own else time.perf_counter
        self.chunk_sizer = ChunkSizer(spec.optimizer_batch_size * max(width or 1, len(self.trials)))

    def advance(self) -> list[Progress]:
        """Train all trials for a chunk of steps, or test them if the epoch's steps are done.

        Returns the progress of each of `trials` before the call, in order. Trials that diverged are
        then removed from `trials`.
        """
        first = self.trials[0].current_epoch()
        is_training, begun_at = not first.is_done, first.num_steps
        num_steps = min(
            self.width.num_steps or self.chunk_sizer.num_steps, self.chunk_sizer.longest
        )
        start = self._clock()
        progress_by_trial: list[Progress] = []
        self.side_by_side = []
        for group in self._current_groups():
            group.chunk_sizer.num_steps = num_steps
            group.pause_switching(self.width.num_steps is not None)
            self.side_by_side += [len(group.trials)] * len(group.trials)
            progress_by_trial += group.advance()
            group.pause_switching(False)
        if is_training:
            seconds = self._clock() - start
            done = min(num_steps, first.examples.num_batches - begun_at)
            self.chunk_sizer.observe(done, seconds)
            if done == num_steps or begun_at == 0:  # an epoch's last few steps tell little
                self.width.observe(done, seconds)
        went_on = [not isinstance(progress, Diverged) for progress in progress_by_trial]
        if not all(went_on):
            self.trials = [t for t, goes_on in zip(self.trials, went_on, strict=True) if goes_on]
            self._groups = []
        return progress_by_trial

    def _current_groups(self) -> list[SeedGroup]:
        """Return the trials in groups of the current width, built anew if the width has changed."""
        if not self._groups or self._groups_width != self.width.current:
            try:
                self._groups = list(self._build_groups(self.width.current))
            except NotFusable as why:
                self.not_fusable = str(why)
                self.width.use_single_networks()
                self._groups = list(self._build_groups(1))
            self._groups_width = self.width.current
        return self._groups

    def _build_groups(self, width: int) -> Iterator[SeedGroup]:
        """Yield groups of `width` trials in the order of `trials`; the last may be smaller."""
        for begin in range(0, len(self.trials), width):
            group = self.trials[begin : begin + width]
            yield FusedTrials(group) if len(group) > 1 else SingleTrial(group[0])
