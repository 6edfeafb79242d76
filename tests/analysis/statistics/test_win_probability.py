"""The probability that one norm beats another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.win_probability import estimate_win_probability


@pytest.mark.parametrize(("wins", "losses"), [(3, 0), (0, 4), (7, 3)])
def test_the_interval_is_that_of_the_exact_binomial_test(wins: int, losses: int) -> None:
    found = estimate_win_probability(np.array([-1.0] * wins + [0.5] * losses))
    expected = stats.binomtest(wins, wins + losses).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.value == wins / (wins + losses)


def test_ties_count_against_either_claim() -> None:
    found = estimate_win_probability(np.array([-1.0, -1.0, 1e-16, 0.0, np.nan]))
    assert found.num == 4
    assert found.value == 0.75
    assert found.low == pytest.approx(stats.binomtest(2, 4).proportion_ci(0.95, "exact").low)
    assert found.high == 1.0


def test_no_pair_gives_no_probability() -> None:
    assert estimate_win_probability(np.array([np.nan])).num == 0
