"""Errors of the quickstart's cells, seeds side by side against the same seeds alone.

Where rounding is magnified by training, a seed's error side by side is not its error alone. Over
the seeds the two must be drawn from one distribution.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from trial_specs import shrink_trial

from trainables import Diverged, EpochMetrics, Trial, TrialSpec
from trainables.fused.lockstep import LockstepTraining
from trainables.spec import DataSpec, ModelSpec, ScheduleSpec

NUM_SEEDS = 24
SIDE_BY_SIDE = 8

ALPHA = 0.001
"""Chance of a false alarm in each of the tests below."""


def cell(norm: str, batch_size: int, **options: int) -> TrialSpec:
    return shrink_trial(
        norm,
        batch_size=batch_size,
        epochs=3,
        options=dict(options),
        data=DataSpec(name="digits"),
        model=ModelSpec(name="resnet8"),
        schedule=ScheduleSpec(name="cosine"),
        momentum=0.9,
    )


def errors(spec: TrialSpec, width: int) -> NDArray[np.float64]:
    """The last test error of every seed, percent; of one that diverges, that of guessing."""
    found: dict[int, float] = {}
    for first in range(0, NUM_SEEDS, SIDE_BY_SIDE):
        seeds = range(first, first + SIDE_BY_SIDE)
        lockstep = LockstepTraining(
            [Trial(dataclasses.replace(spec, seed=seed), device="cpu") for seed in seeds], width
        )
        while lockstep.trials and not lockstep.trials[0].finished:
            trained = [trial.spec.seed for trial in lockstep.trials]
            for seed, progress in zip(trained, lockstep.advance(), strict=True):
                if isinstance(progress, EpochMetrics):
                    found[seed] = progress.test_error
                elif isinstance(progress, Diverged):
                    found[seed] = 90.0
    return np.array([found[seed] for seed in range(NUM_SEEDS)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [
        cell("batchnorm", 4),
        cell("batchnorm", 16),
        cell("groupnorm", 4, num_groups=8),
        cell("assocnorm", 4, num_groups=8),
    ],
    ids=lambda spec: f"{spec.norm.name}-{spec.batch_size}",
)
def test_side_by_side_and_alone_are_one_distribution(spec: TrialSpec) -> None:
    alone, together = errors(spec, 1), errors(spec, SIDE_BY_SIDE)
    shown = f"alone {alone.mean():.2f} ± {alone.std(ddof=1):.2f}, " + (
        f"side by side {together.mean():.2f} ± {together.std(ddof=1):.2f} %"
    )
    print(shown)
    assert stats.ks_2samp(alone, together).pvalue > ALPHA, shown
    if (alone != together).any():
        assert stats.wilcoxon(alone, together, zero_method="zsplit").pvalue > ALPHA, shown
    # Enough seeds to see a difference that would matter: as large as what seeds differ by.
    standard_error = np.sqrt((alone.var(ddof=1) + together.var(ddof=1)) / NUM_SEEDS)
    assert standard_error < 0.5 * max(alone.std(ddof=1), together.std(ddof=1))
    assert abs(alone.mean() - together.mean()) < 4 * standard_error, shown
