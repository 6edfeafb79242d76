"""How long trials take: learnt from the epochs that have been trained, or from timed steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sweep.grid.expand import GridTrial
from trainables.data.lookup import dataset_info

Cell = tuple[str, str, int]


def cell_of(trial: GridTrial) -> Cell:
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
    """Seconds of an epoch: the mean of its cell's; else as its cell was timed beforehand.

    Where its cell is unknown it is reckoned by the step from what is most like it: the norm under
    the same variant, that variant, the norm, everything. With nothing known a step counts as one
    second, which still orders trials rightly.
    """

    timed: Mapping[Cell, float] = field(default_factory=dict)
    per_cell: dict[Cell, _Mean] = field(default_factory=lambda: defaultdict(_Mean))
    per_step: dict[tuple[str | None, str | None], _Mean] = field(
        default_factory=lambda: defaultdict(_Mean)
    )

    @property
    def is_measured(self) -> bool:
        """Whether the figures are seconds."""
        return bool(self.per_cell) or bool(self.timed)

    def observe(self, trial: GridTrial, epoch_s: float) -> None:
        """Learn from one epoch (training and evaluation, in seconds)."""
        self.per_cell[cell_of(trial)].add(epoch_s)
        for likeness in _likenesses(trial):
            self.per_step[likeness].add(epoch_s / steps_per_epoch(trial))

    def epoch_s(self, trial: GridTrial) -> float:
        """Expected seconds of one epoch of the trial."""
        if cell_of(trial) in self.per_cell:
            return self.per_cell[cell_of(trial)].value()
        if cell_of(trial) in self.timed:
            return self.timed[cell_of(trial)]
        known = (self.per_step[like] for like in _likenesses(trial) if like in self.per_step)
        nearest = next(known, None)
        return steps_per_epoch(trial) * (nearest.value() if nearest else 1.0)

    def remaining_s(self, trial: GridTrial, epochs_done: int = 0) -> float:
        """Expected seconds until the trial ends."""
        return self.epoch_s(trial) * max(0, trial.spec.train.epochs - epochs_done)


def _likenesses(trial: GridTrial) -> Iterator[tuple[str | None, str | None]]:
    """The trials that this one is like, by norm and variant, from the most alike on."""
    yield trial.norm, trial.variant
    yield None, trial.variant
    yield trial.norm, None
    yield None, None
