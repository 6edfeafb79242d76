"""How long trials take, estimated from the epochs that were trained or from timed steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sweep.grid.expand import GridTrial
from sweep.grid.variant import Variant
from trainables.data.lookup import dataset_info

Cell = tuple[str, Variant, int]


def cell_of(trial: GridTrial) -> Cell:
    """Return the trial's cell: norm, variant and batch size, all but the seed."""
    return trial.norm, trial.variant, trial.spec.batch_size


def steps_per_epoch(trial: GridTrial) -> int:
    """Return the batches of one epoch; an incomplete last batch is dropped."""
    return max(1, dataset_info(trial.spec.data).num_train // trial.spec.batch_size)


@dataclass
class _Mean:
    """A running mean of observed seconds."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Add one observation."""
        self.total += value
        self.count += 1

    def value(self) -> float:
        """Return the mean of the observations."""
        return self.total / self.count


@dataclass
class CostModel:
    """Estimates the seconds of an epoch from epochs and steps that were timed.

    An estimate is the mean of the epochs of the trial's cell; without one, the time in `timed`;
    else the mean seconds of a step of the most similar trials: of the same norm and variant, the
    same variant, the same norm, any. Without any time a step counts as one second, which still
    orders trials by their length.

    Attributes:
        timed: seconds of an epoch that `plan --calibrate` has measured, by cell.
        per_cell: the mean seconds of the epochs observed, by cell.
        per_step: the mean seconds of a step, by norm and variant, where None stands for any.
    """

    timed: Mapping[Cell, float] = field(default_factory=dict)
    per_cell: dict[Cell, _Mean] = field(default_factory=lambda: defaultdict(_Mean))
    per_step: dict[tuple[str | None, Variant | None], _Mean] = field(
        default_factory=lambda: defaultdict(_Mean)
    )

    @property
    def is_measured(self) -> bool:
        """Whether anything was timed, so that estimates are seconds."""
        return bool(self.per_cell) or bool(self.timed)

    def observe(self, trial: GridTrial, epoch_s: float) -> None:
        """Add the seconds of one epoch (training and evaluation) to the means."""
        self.per_cell[cell_of(trial)].add(epoch_s)
        for key in _similar_trials(trial):
            self.per_step[key].add(epoch_s / steps_per_epoch(trial))

    def epoch_s(self, trial: GridTrial) -> float:
        """Return the expected seconds of one epoch of the trial."""
        if cell_of(trial) in self.per_cell:
            return self.per_cell[cell_of(trial)].value()
        if cell_of(trial) in self.timed:
            return self.timed[cell_of(trial)]
        known = (self.per_step[key] for key in _similar_trials(trial) if key in self.per_step)
        nearest = next(known, None)
        return steps_per_epoch(trial) * (nearest.value() if nearest else 1.0)

    def remaining_s(self, trial: GridTrial, epochs_done: int = 0) -> float:
        """Return the expected seconds until the trial ends."""
        return self.epoch_s(trial) * max(0, trial.spec.train.epochs - epochs_done)


def _similar_trials(trial: GridTrial) -> Iterator[tuple[str | None, Variant | None]]:
    """Yield the keys of `per_step` for a trial, from the most similar trials to all trials."""
    yield trial.norm, trial.variant
    yield None, trial.variant
    yield trial.norm, None
    yield None, None
