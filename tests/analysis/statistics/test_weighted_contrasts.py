"""Contrasts over batch sizes, against scipy's tests of the same hypotheses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.errors import AnalysisError
from analysis.statistics.inference.weighted_contrasts import (
    combined_estimate,
    level_weights,
    paired_estimate,
    robustness_weights,
    sign_flip_p,
)
from analysis.statistics.robustness import compute_auec, compute_degradation

SIZES = (64, 16, 4, 2)


def _errors(num_seeds: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(10, 1, (num_seeds, 4)) * [1, 2, 0.5, 3]


def test_level_weights_give_the_auec_of_a_seed() -> None:
    errors = _errors(5)
    expected = compute_auec(pd.DataFrame(errors, columns=SIZES))
    assert np.allclose(errors @ level_weights(SIZES), expected)


def test_robustness_weights_give_the_degradation_of_a_seed() -> None:
    errors = _errors(5)
    expected = compute_degradation(pd.DataFrame(errors, columns=SIZES))[2]
    assert np.allclose(errors @ robustness_weights(SIZES), expected)


def test_one_batch_size_has_a_level_and_no_robustness() -> None:
    assert level_weights([32]).tolist() == [1.0]
    with pytest.raises(AnalysisError, match="two batch sizes"):
        robustness_weights([32])


@pytest.mark.parametrize("num_seeds", [3, 4, 10])
def test_the_combined_test_of_a_degradation_has_welchs_t_and_fewer_degrees_of_freedom(
    num_seeds: int,
) -> None:
    columns = list(_errors(num_seeds).T)
    found = combined_estimate(columns, robustness_weights(SIZES))
    expected = stats.ttest_ind(columns[-1], columns[0], equal_var=False)
    assert found.value / found.standard_error == pytest.approx(expected.statistic)
    assert num_seeds - 1 < found.df < expected.df
    assert found.p == pytest.approx(2 * stats.t.sf(abs(expected.statistic), found.df))
    parts = sorted(column.var(ddof=1) for column in (columns[0], columns[-1]))
    counted = np.array([parts[0], 2 * parts[1]])
    df = counted.sum() ** 2 / (counted**2).sum() * (num_seeds - 1)
    assert found.df == pytest.approx(df)


def test_the_combined_test_of_one_noisy_batch_size_is_students() -> None:
    noisy = _errors(5)[:, 0]
    still = 8 + np.array([0, 1e-5, 0, -1e-5, 0])
    found = combined_estimate([still, noisy], np.array([-1.0, 1.0]))
    assert found.p == pytest.approx(stats.ttest_1samp(noisy, 8).pvalue, rel=1e-3)


def test_the_combined_test_takes_batch_sizes_with_different_numbers_of_seeds() -> None:
    first, second = _errors(7)[:, 0], _errors(4, seed=1)[:, 3]
    found = combined_estimate([first, second], np.array([-1.0, 1.0]))
    expected = stats.ttest_ind(second, first, equal_var=False)
    assert found.value / found.standard_error == pytest.approx(expected.statistic)
    assert 3 <= found.df <= 9
    assert found.num == 4


@pytest.mark.parametrize("num_seeds", [3, 8])
def test_the_paired_test_is_students_test_of_the_contrast_per_seed(num_seeds: int) -> None:
    errors = _errors(num_seeds)
    found = paired_estimate(errors, level_weights(SIZES))
    expected = stats.ttest_1samp(errors @ level_weights(SIZES), 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.df == num_seeds - 1


def test_a_seed_without_a_batch_size_that_the_contrast_needs_is_left_out() -> None:
    errors = _errors(6)
    errors[0, 0], errors[1, 1] = np.nan, np.nan
    assert paired_estimate(errors, robustness_weights(SIZES)).num == 5
    assert paired_estimate(errors, level_weights(SIZES)).num == 4


@pytest.mark.parametrize("num_seeds", [0, 1, 2])
def test_fewer_than_three_seeds_give_no_test(num_seeds: int) -> None:
    errors = _errors(num_seeds)
    for found in (
        combined_estimate(list(errors.T), level_weights(SIZES)),
        paired_estimate(errors, level_weights(SIZES)),
    ):
        assert np.isnan(found.p)
        assert np.isnan(found.half_width(0.05))
        assert not found.lies_within(100, 0.05)


def test_differences_that_are_equal_but_for_rounding_give_no_test() -> None:
    columns = [np.array([0.1, 0.1 + 1e-16, 0.1]), np.array([0.3, 0.3, 0.3 - 1e-16])]
    found = combined_estimate(columns, np.array([-1.0, 1.0]))
    assert found.value == pytest.approx(0.2)
    assert np.isnan(found.p)


def test_an_interval_within_the_margin_is_two_one_sided_tests() -> None:
    values = np.array([0.1, -0.2, 0.15, 0.0, 0.05])
    found = paired_estimate(values[:, None], np.ones(1))
    for margin in (0.1, 0.15, 0.2, 0.5):
        low = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
        high = stats.ttest_1samp(values, margin, alternative="less").pvalue
        assert found.lies_within(margin, 0.1) == (max(low, high) < 0.05)


@given(
    st.lists(st.floats(-10, 10), min_size=3, max_size=5),
    st.lists(st.floats(-10, 10), min_size=3, max_size=5),
)
@settings(max_examples=30, deadline=None)
def test_sign_flips_are_scipys_permutation_test_of_samples(
    first: list[float], second: list[float]
) -> None:
    first, second = ([round(value, 3) for value in values] for values in (first, second))
    terms = np.concatenate([-np.array(first) / len(first), np.array(second) / len(second)])
    expected = stats.permutation_test(
        (terms,),
        lambda values: round(abs(values.sum()), 8) + 1.0,  # sums that are equal but for rounding
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    )
    found = sign_flip_p([np.array(first), np.array(second)], np.array([-1.0, 1.0]))
    assert found == pytest.approx(expected.pvalue)


def test_drawn_sign_flips_are_near_the_normal_approximation_of_many() -> None:
    columns = list((_errors(40) - 10 * np.array([1, 2, 0.5, 3])).T)
    weights = level_weights(SIZES)
    terms = np.concatenate([w * c / len(c) for c, w in zip(columns, weights, strict=True)])
    expected = 2 * stats.norm.sf(abs(terms.sum()) / np.sqrt((terms**2).sum()))
    assert sign_flip_p(columns, weights) == pytest.approx(expected, abs=0.01)
