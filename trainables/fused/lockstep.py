"""Trials of a cell in step with one another, as many of them side by side as is fastest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import torch

from trainables.epoch import ChunkSizer
from trainables.errors import Diverged, NotFusable
from trainables.fused.trials import FusedTrials, Progress, require_alike
from trainables.fused.width import Width
from trainables.training import Trial


class SingleTrial:
    """One trial, with the manners of several."""

    def __init__(self, trial: Trial) -> None:
        self.trials = [trial]
        self.pace = trial.pace
        # What is left of networks side by side may lie as no model alone has it.
        for parameter, velocity in trial.optimizer.velocities.items():
            parameter.data = parameter.data.contiguous()
            velocity.data = velocity.data.contiguous()

    def hold(self, is_held: bool) -> None:
        """Leave the steps as they are, or no longer, while widths are timed."""
        self.trials[0].steps.is_held = is_held

    def advance(self) -> list[Progress]:
        """As `FusedTrials.advance`."""
        try:
            return [self.trials[0].advance()]
        except Diverged as end:
            return [end]


SeedGroup: TypeAlias = SingleTrial | FusedTrials


class LockstepTraining:
    """Trials that differ in their seed alone, all at the same step after every `advance`.

    Attributes:
        trials: those in training.
        width: how many of them are one network.
        pace: how many steps a stretch takes once the width is settled.
        not_fusable: why they cannot be one, if they cannot.
        side_by_side: in the last stretch, of how many trials each one's network was; in the order
            in which they were told of.

    Raises:
        ValueError: trials of different cells, or at different steps.
    """

    def __init__(self, trials: Sequence[Trial], width: int | None = None) -> None:
        require_alike(trials)
        self.trials = list(trials)
        self.width = Width(len(self.trials), width)
        self.not_fusable: str | None = None
        self.side_by_side = [1] * len(self.trials)
        self._crews: list[SeedGroup] = []
        self._crews_width = 0
        spec, device = self.trials[0].spec, self.trials[0].device
        # Of a thread's own time, work of others on the same cores takes nothing.
        own = device.type == "cpu" and torch.get_num_threads() == 1
        self._clock = time.thread_time if own else time.perf_counter
        self.pace = ChunkSizer(spec.optimizer_batch_size * max(width or 1, len(self.trials)))

    def advance(self) -> list[Progress]:
        """Take a stretch of steps, or test where the epoch's are done.

        What became of each of `trials` as they stand before the call; those that diverged leave.
        """
        first = self.trials[0].current_epoch()
        is_training, begun_at = not first.is_done, first.num_steps
        num_steps = min(self.width.num_steps or self.pace.num_steps, self.pace.longest)
        start = self._clock()
        told: list[Progress] = []
        self.side_by_side = []
        for crew in self._crews_now():
            crew.pace.num_steps = num_steps
            crew.hold(self.width.num_steps is not None)
            self.side_by_side += [len(crew.trials)] * len(crew.trials)
            told += crew.advance()
            crew.hold(False)
        if is_training:
            seconds = self._clock() - start
            done = min(num_steps, first.examples.num_batches - begun_at)
            self.pace.observe(done, seconds)
            if done == num_steps or begun_at == 0:  # an epoch's last few steps tell little
                self.width.observe(done, seconds)
        went_on = [not isinstance(progress, Diverged) for progress in told]
        if not all(went_on):
            self.trials = [t for t, goes_on in zip(self.trials, went_on, strict=True) if goes_on]
            self._crews = []
        return told

    def _crews_now(self) -> list[SeedGroup]:
        """The trials in crews of the width of now; they are told in the order of `trials`."""
        if not self._crews or self._crews_width != self.width.now:
            try:
                self._crews = list(self._crews_of(self.width.now))
            except NotFusable as why:
                self.not_fusable = str(why)
                self.width.give_up()
                self._crews = list(self._crews_of(1))
            self._crews_width = self.width.now
        return self._crews

    def _crews_of(self, width: int) -> Iterator[SeedGroup]:
        for begin in range(0, len(self.trials), width):
            crew = self.trials[begin : begin + width]
            yield FusedTrials(crew) if len(crew) > 1 else SingleTrial(crew[0])
