"""Simulation: the intervals cover, the families err, and the power is, as the report says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from analysis.statistics.inference.differences import compute_difference
from analysis.statistics.inference.family import adjust_holm
from analysis.statistics.inference.intervals import ALPHA, compute_t_test_p, estimate_mean
from analysis.statistics.inference.power import compute_detectable_difference
from analysis.statistics.inference.weighted_contrasts import paired_estimate

QUICK, THOROUGH = 2_000, 40_000
REPEATS = pytest.mark.parametrize(
    "repeats", [QUICK, pytest.param(THOROUGH, marks=pytest.mark.slow)]
)


def slack(rate: float, repeats: int) -> float:
    """Three standard errors of a simulated rate."""
    return float(3 * np.sqrt(rate * (1 - rate) / repeats))


def lognormal(rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Skewed seeds with mean 0: log-normal with sigma 0.6."""
    return rng.lognormal(0, 0.6, shape) - np.exp(0.18)


@REPEATS
@pytest.mark.parametrize("num", [3, 5, 10])
@pytest.mark.parametrize(("skewed", "least"), [(False, 0.94), (True, 0.90)])
def test_intervals_cover(num: int, skewed: bool, least: float, repeats: int) -> None:
    rng = np.random.default_rng(num)
    shape = (repeats, num)
    samples = lognormal(rng, shape) if skewed else rng.normal(size=shape)
    means = [estimate_mean(sample) for sample in samples]
    covered = np.mean([mean.low <= 0 <= mean.high for mean in means])
    assert covered >= least - (slack(least, repeats) if repeats == QUICK else 0)


@REPEATS
def test_the_holm_family_errs_at_most_as_often_as_it_says(repeats: int) -> None:
    """Five equal norms against one reference, five seeds that share what seeds share."""
    repeats //= 4
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(repeats):
        shared = rng.normal(size=5)
        values = [pd.Series(shared + rng.normal(size=5)) for _ in range(6)]
        adjusted = adjust_holm([compute_difference(norm, values[0]).p for norm in values[1:]])
        wrong += bool(adjusted.min() < ALPHA)
    assert wrong / repeats <= 0.06 + (slack(0.05, repeats) if repeats < QUICK else 0)


@REPEATS
def test_equivalence_is_rarely_claimed_at_the_margin(repeats: int) -> None:
    rng = np.random.default_rng(11)
    samples = rng.normal(0.5, 0.1, (repeats, 5))
    claimed = np.mean([is_within(sample) for sample in samples])
    assert claimed <= ALPHA / 2 + slack(ALPHA / 2, repeats)
    inside = rng.normal(0, 0.1, (repeats, 5))
    assert np.mean([is_within(sample) for sample in inside]) > 0.9


def is_within(sample: npt.NDArray[np.float64]) -> bool:
    return paired_estimate(sample[:, None], np.ones(1)).lies_within(0.5, ALPHA)


@REPEATS
@pytest.mark.parametrize("num", [3, 5, 10])
def test_the_smallest_detectable_difference_is_found_four_times_in_five(
    num: int, repeats: int
) -> None:
    rng = np.random.default_rng(num)
    samples = rng.normal(compute_detectable_difference(num), 1, (repeats, num))
    found = np.mean([compute_t_test_p(estimate_mean(sample)) < ALPHA for sample in samples])
    assert found == pytest.approx(0.8, abs=slack(0.8, repeats))
