"""Every interval and p value against scipy.stats or statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from analysis.statistics.inference.differences import compute_difference
from analysis.statistics.inference.family import adjust_holm
from analysis.statistics.inference.intervals import (
    compute_t_test_p,
    compute_upper_bound,
    estimate_mean,
    estimate_proportion_interval,
)
from analysis.statistics.inference.power import (
    compute_detectable_difference,
    compute_seeds_needed,
    estimate_detectable_difference,
)
from analysis.statistics.inference.weighted_contrasts import Estimate

SAMPLES = st.lists(st.floats(0, 90).map(lambda x: round(x, 3)), min_size=3, max_size=12)


@settings(max_examples=60, deadline=None)
@given(SAMPLES)
def test_the_interval_is_students(values: list[float]) -> None:
    assume(np.ptp(values) > 0.01)
    mean, expected = estimate_mean(values), stats.ttest_1samp(values, 0)
    interval = expected.confidence_interval(0.95)
    assert (mean.low, mean.high) == pytest.approx((interval.low, interval.high), abs=1e-8)
    assert compute_t_test_p(mean) == pytest.approx(expected.pvalue, abs=1e-12)
    assert compute_upper_bound(values) == pytest.approx(
        expected.confidence_interval(0.9).high, abs=1e-8
    )


@pytest.mark.parametrize("values", [[], [7.0], [7.0, 8.0], [7.0, 7.0, 7.0], [np.nan, 7.0, 8.0]])
def test_no_interval_from_too_little(values: list[float]) -> None:
    mean = estimate_mean(values)
    assert np.isnan(mean.half_width)
    assert np.isnan(compute_t_test_p(mean))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 90), st.floats(0, 90)), min_size=3, max_size=10))
def test_differences_are_paired_and_welchs_beside(pairs: list[tuple[float, float]]) -> None:
    first, second = np.round(np.array(pairs).T, 3)
    assume(min(np.ptp(first), np.ptp(second), np.ptp(first - second)) > 0.01)
    found = compute_difference(pd.Series(first), pd.Series(second))
    paired = stats.ttest_rel(first, second)
    welch = stats.ttest_ind(first, second, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert found.p == pytest.approx(paired.pvalue, abs=1e-9)
    assert found.welch_p == pytest.approx(welch.pvalue, abs=1e-9)
    assert (found.welch.low, found.welch.high) == pytest.approx((interval.low, interval.high))
    assert found.correlation == pytest.approx(stats.pearsonr(first, second).statistic, abs=1e-6)


def test_only_common_seeds_are_paired() -> None:
    first = pd.Series([7.0, 8.0, 9.5], index=[0, 1, 2])
    second = pd.Series([6.0, 6.5], index=[2, 5])
    found = compute_difference(first, second)
    assert (found.paired.value, found.paired.num) == (3.5, 1)
    assert np.isnan(found.p)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    assert adjust_holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    with_gap = adjust_holm([*p, np.nan])
    assert np.isnan(with_gap[-1])
    assert with_gap[:-1] == pytest.approx(adjust_holm(p))


@pytest.mark.parametrize(("count", "num"), [(0, 3), (1, 3), (3, 3), (0, 1), (7, 40)])
def test_proportions_have_clopper_and_pearsons_interval(count: int, num: int) -> None:
    expected = stats.binomtest(count, num).proportion_ci(0.95, "exact")
    assert estimate_proportion_interval(count, num) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("num", "sds"), [(3, 3.26), (5, 1.68), (10, 1.00)])
def test_what_the_seeds_can_show(num: int, sds: float) -> None:
    found = compute_detectable_difference(num)
    assert found == pytest.approx(sds, abs=0.005)
    expected = TTestPower().solve_power(nobs=num, alpha=0.05, power=0.8)
    assert found == pytest.approx(expected, rel=1e-3)


def test_seeds_needed_are_the_fewest_that_suffice() -> None:
    estimate = Estimate(0.51, standard_error=0.4 / np.sqrt(5), df=4, num=5)
    number = compute_seeds_needed(0.51, estimate)
    assert number is not None
    assert TTestPower().power(0.51 / 0.4, number, 0.05) >= 0.8
    assert TTestPower().power(0.51 / 0.4, number - 1, 0.05) < 0.8
    assert compute_seeds_needed(1e-6, estimate) is None


def test_more_seeds_have_the_degrees_of_freedom_of_the_combined_test() -> None:
    """Two batch sizes of equal noise: twice the degrees of freedom of one."""
    estimate = Estimate(0.5, standard_error=0.5, df=4, num=3)
    number = compute_seeds_needed(1.0, estimate)
    assert number is not None
    for num, is_enough in ((number, True), (number - 1, False)):
        shift = 1.0 / (0.5 * np.sqrt(3 / num))
        critical = stats.t.isf(0.025, 2 * (num - 1))
        assert (stats.nct.sf(critical, 2 * (num - 1), shift) >= 0.8) == is_enough


def test_a_detectable_difference_has_the_interval_of_its_spread() -> None:
    values = np.array([0.1, -0.4, 0.9, 0.3])
    sd = values.std(ddof=1)
    found = estimate_detectable_difference(Estimate(0.2, sd / 2, 3, 4))
    assert found.value == pytest.approx(compute_detectable_difference(4) * sd)
    ends = [sd * np.sqrt(3 / stats.chi2.ppf(q, 3)) for q in (0.975, 0.025)]
    assert [found.low, found.high] == pytest.approx(
        [compute_detectable_difference(4) * end for end in ends]
    )
    assert np.isnan(estimate_detectable_difference(Estimate(0.2, np.nan, np.nan, 2)).value)
