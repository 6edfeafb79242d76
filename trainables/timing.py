"""How long an epoch of a trial takes, from a few timed steps and a part of its test."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch

from trainables.data.load import Dataset, Split
from trainables.determinism import deterministic
from trainables.evaluate import PRECISE_EXAMPLES, assess
from trainables.fused.lockstep import LockstepTraining
from trainables.spec import TrialSpec
from trainables.training import Trial

NUM_CHUNKS = 3
CHUNK_S = 0.3
TEST_EXAMPLES = 1024

ZERO_LR = 1e-12
"""Nothing diverges while it is timed."""


@dataclass(frozen=True)
class EpochTime:
    """Seconds of an optimizer step, of an epoch's training and of its test."""

    step_s: float
    train_s: float
    eval_s: float

    @property
    def epoch_s(self) -> float:
        """Seconds of the whole epoch."""
        return self.train_s + self.eval_s


def time_epoch(
    spec: TrialSpec,
    *,
    data_root: str | os.PathLike[str] | None = None,
    device: torch.device | str | None = None,
) -> EpochTime:
    """Time a second of a trial's steps and a part of its test; raises like `train`.

    The first steps, which warm up, do not count.
    """
    spec = without_weight_changes(spec)
    trial = Trial(spec, data_root=data_root, device=device)
    with deterministic(spec.train.deterministic):
        return _time(trial)


def _time(trial: Trial) -> EpochTime:
    step_s, spec = _step_s(trial), trial.spec
    fraction = min(1.0, TEST_EXAMPLES / len(trial.dataset.test))
    part = _part(trial.dataset, fraction)
    assess(trial.model, part, [spec], epoch=1)
    start = time.perf_counter()
    assess(trial.model, part, [spec], epoch=1)
    eval_s = (time.perf_counter() - start) / fraction
    return EpochTime(step_s, step_s * trial.dimensions.updates_per_epoch, eval_s)


def time_widths(
    specs: Sequence[TrialSpec],
    *,
    data_root: str | os.PathLike[str] | None = None,
    device: torch.device | str | None = None,
) -> dict[int, float]:
    """Seconds of a step of all these trials, by how many of them are one network.

    The specs differ in their seed alone. Where they cannot be one, only what 1 takes is known.
    """
    trials = [
        Trial(without_weight_changes(spec), data_root=data_root, device=device) for spec in specs
    ]
    lockstep = LockstepTraining(trials)
    while lockstep.width.num_steps:
        if lockstep.trials[0].current_epoch().is_done:
            for trial in trials:
                trial.current = None
        lockstep.advance()
    return lockstep.width.step_s


def without_weight_changes(spec: TrialSpec) -> TrialSpec:
    """The trial with a learning rate at which its weights do not move."""
    still = replace(spec.train.optimizer, lr=ZERO_LR)
    return replace(spec, train=replace(spec.train, optimizer=still))


def _step_s(trial: Trial) -> float:
    found = []
    for _ in range(1 + NUM_CHUNKS):
        if trial.current_epoch().is_done:
            trial.current = None
        current = trial.current_epoch()
        steps, train_s = current.num_steps, current.train_s
        current.advance(trial.pace)
        found.append((current.train_s - train_s) / (current.num_steps - steps))
        trial.pace.num_steps = max(1, min(trial.pace.longest, int(CHUNK_S / found[-1])))
    return median(found[1:])


def _part(dataset: Dataset, fraction: float) -> Dataset:
    """A fraction of the test examples, and of the training examples that a test looks at."""
    num_train = min(PRECISE_EXAMPLES, len(dataset.train))
    return replace(
        dataset,
        train=_first(dataset.train, fraction * num_train),
        test=_first(dataset.test, fraction * len(dataset.test)),
    )


def _first(split: Split, number: float) -> Split:
    chosen = slice(0, max(1, round(number)))
    return Split(split.images[chosen], split.labels[chosen])
