"""Effects over data sets and networks, against statsmodels and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from analysis.statistics.across_blocks import (
    compute_interquartile_mean,
    compute_performance_profile,
    estimate_random_effects,
)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("num_blocks", [3, 6, 12])
def test_random_effects_are_those_of_statsmodels(num_blocks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.uniform(0.1, 0.3, num_blocks)
    effects = rng.normal(1, 1, num_blocks) + errors * rng.standard_normal(num_blocks)
    found = estimate_random_effects(effects.tolist(), errors.tolist())
    reference = combine_effects(effects, errors**2, method_re="iterated", use_t=True)
    assert found.value == pytest.approx(reference.mean_effect_re, rel=1e-3)
    assert found.between_sd == pytest.approx(np.sqrt(reference.tau2), rel=1e-3)
    error = max(reference.sd_eff_w_re_hksj, reference.sd_eff_w_re)
    quantile = stats.t.ppf(0.975, num_blocks - 1)
    assert found.half_width == pytest.approx(quantile * error, rel=1e-3)
    assert found.p == pytest.approx(
        2 * stats.t.sf(abs(found.value) / error, num_blocks - 1), rel=1e-3
    )


def test_blocks_that_agree_have_no_spread_and_an_interval_of_their_own_errors() -> None:
    found = estimate_random_effects([1.0, 1.0, 1.0], [0.3, 0.3, 0.3])
    assert found.between_sd == 0
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, 2) * 0.3 / np.sqrt(3))


def test_fewer_than_three_blocks_give_a_mean_and_no_interval() -> None:
    assert estimate_random_effects([], []).num_blocks == 0
    found = estimate_random_effects([1.0, 3.0, 5.0], [0.1, 0.1, np.nan])
    assert (found.value, found.num_blocks) == (2.0, 2)
    assert np.isnan(found.half_width)


@pytest.mark.slow
@pytest.mark.parametrize("num_blocks", [3, 5, 10])
@pytest.mark.parametrize("between", [0.0, 0.3, 1.0])
def test_the_interval_covers_the_mean_over_blocks(num_blocks: int, between: float) -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(2000):
        errors = rng.uniform(0.2, 0.6, num_blocks)
        effects = between * rng.standard_normal(num_blocks) + errors * rng.standard_normal(
            num_blocks
        )
        found = estimate_random_effects(effects.tolist(), errors.tolist())
        covered += abs(found.value) <= found.half_width
    assert covered / 2000 >= 0.935


@pytest.mark.parametrize("num", [10, 11, 13, 40])
def test_the_interquartile_mean_is_scipys_trimmed_mean(num: int) -> None:
    values = np.random.default_rng(num).normal(size=num)
    assert compute_interquartile_mean(values.tolist()) == pytest.approx(
        stats.trim_mean(values, 0.25)
    )


def test_few_blocks_have_no_interquartile_mean() -> None:
    assert np.isnan(compute_interquartile_mean([1.0] * 9))


def test_a_profile_is_the_share_of_blocks_within_each_threshold() -> None:
    found = compute_performance_profile(
        np.array([0.0, 0.0, 1.0, 3.0]), np.array([0.0, 1.0, 2.0, 3.0])
    )
    assert found.tolist() == [0.5, 0.75, 0.75, 1.0]
