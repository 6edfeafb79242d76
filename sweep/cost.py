"""How long trials take: learnt from the epochs that have been trained."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from sweep.grid.expansion import GridTrial
from trainables.data.catalog import dataset_info

Cell = tuple[str, str, int]


def cell(trial: GridTrial) -> Cell:
    """A norm at a batch size (under a variant): what seeds replicate."""
    return trial.norm, trial.variant, trial.spec.batch_size


def steps_per_epoch(trial: GridTrial) -> int:
    """Batches of one epoch; the last short one is dropped."""
    return max(1, dataset_info(trial.spec.data).num_train // trial.spec.batch_size)


@dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    def value(self) -> float:
        return self.total / self.count


@dataclass
class CostModel:
    """Seconds of an epoch: the mean of its cell, else of its norm by the step, else of all.

    With nothing observed a step counts as one second, which still orders trials rightly.
    """

    per_cell: dict[Cell, _Mean] = field(default_factory=lambda: defaultdict(_Mean))
    per_norm: dict[str, _Mean] = field(default_factory=lambda: defaultdict(_Mean))
    per_step: _Mean = field(default_factory=_Mean)

    @property
    def is_measured(self) -> bool:
        """Whether the figures are seconds."""
        return self.per_step.count > 0

    def observe(self, trial: GridTrial, epoch_s: float) -> None:
        """Learn from one epoch (training and evaluation, in seconds)."""
        step_s = epoch_s / steps_per_epoch(trial)
        self.per_cell[cell(trial)].add(epoch_s)
        self.per_norm[trial.norm].add(step_s)
        self.per_step.add(step_s)

    def epoch_s(self, trial: GridTrial) -> float:
        """Expected seconds of one epoch of the trial."""
        if cell(trial) in self.per_cell:
            return self.per_cell[cell(trial)].value()
        if trial.norm in self.per_norm:
            return self.per_norm[trial.norm].value() * steps_per_epoch(trial)
        step_s = self.per_step.value() if self.is_measured else 1.0
        return step_s * steps_per_epoch(trial)

    def remaining_s(self, trial: GridTrial, epochs_done: int = 0) -> float:
        """Expected seconds until the trial ends."""
        return self.epoch_s(trial) * max(0, trial.spec.train.epochs - epochs_done)
