"""Estimates of the duration of a trial's epoch, from a few timed steps and a part of its test."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch

from trainables.data.load import Dataset, Split
from trainables.determinism import deterministic_algorithms
from trainables.evaluate import PRECISE_EXAMPLES, evaluate_trials
from trainables.fused.lockstep import LockstepTraining
from trainables.spec import TrialSpec
from trainables.training import Trial

NUM_CHUNKS = 3
"""Timed chunks of steps; the median counts."""

CHUNK_S = 0.3
"""Seconds that a timed chunk of steps takes, about."""

TEST_EXAMPLES = 1024
"""Test examples in a timed test."""


ZERO_LR = 1e-12
"""A learning rate with which nothing diverges while it is timed."""


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
    """Return an epoch's duration, from a second of steps and a part of a test; raises as `train`.

    The first steps, which warm up, do not count.
    """
    spec = without_weight_changes(spec)
    trial = Trial(spec, data_root=data_root, device=device)
    with deterministic_algorithms(spec.train.deterministic):
        return _time_trial(trial)


def _time_trial(trial: Trial) -> EpochTime:
    """Return the duration of an epoch of an existing trial."""
    step_s, spec = _time_step(trial), trial.spec
    fraction = min(1.0, TEST_EXAMPLES / len(trial.dataset.test))
    part = _take_fraction(trial.dataset, fraction)
    evaluate_trials(trial.model, part, [spec], epoch=1)
    start = time.perf_counter()
    evaluate_trials(trial.model, part, [spec], epoch=1)
    eval_s = (time.perf_counter() - start) / fraction
    return EpochTime(step_s, step_s * trial.dimensions.updates_per_epoch, eval_s)


def time_widths(
    specs: Sequence[TrialSpec],
    *,
    data_root: str | os.PathLike[str] | None = None,
    device: torch.device | str | None = None,
) -> dict[int, float]:
    """Return seconds of a step of all these trials, by how many of them train as one network.

    The specs differ in their seed alone. If the trials cannot be fused, the only key is 1.
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
    """Return the spec with a learning rate with which its weights do not move."""
    still = replace(spec.train.optimizer, lr=ZERO_LR)
    return replace(spec, train=replace(spec.train, optimizer=still))


def _time_step(trial: Trial) -> float:
    """Return the median seconds of an optimizer step over a few chunks, after one to warm up."""
    found = []
    for _ in range(1 + NUM_CHUNKS):
        if trial.current_epoch().is_done:
            trial.current = None
        current = trial.current_epoch()
        steps, train_s = current.num_steps, current.train_s
        current.train_chunk(trial.chunk_sizer)
        found.append((current.train_s - train_s) / (current.num_steps - steps))
        trial.chunk_sizer.num_steps = max(
            1, min(trial.chunk_sizer.longest, int(CHUNK_S / found[-1]))
        )
    return median(found[1:])


def _take_fraction(dataset: Dataset, fraction: float) -> Dataset:
    """Return a fraction of the test examples, and of the training examples that a test uses."""
    num_train = min(PRECISE_EXAMPLES, len(dataset.train))
    return replace(
        dataset,
        train=_take_first(dataset.train, fraction * num_train),
        test=_take_first(dataset.test, fraction * len(dataset.test)),
    )


def _take_first(split: Split, number: float) -> Split:
    """Return the first `number` examples of a split, at least one."""
    chosen = slice(0, max(1, round(number)))
    return Split(split.images[chosen], split.labels[chosen])
