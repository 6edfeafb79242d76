"""Holm's verdicts and the intervals beside them, which say the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from analysis.statistics.inference.differences import compute_difference
from analysis.statistics.inference.family import (
    Contrast,
    Measure,
    Verdict,
    adjust_family,
    compute_interval_levels,
)
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.inference.weighted_contrasts import Estimate

EMPTY = compute_difference(pd.Series(dtype=float), pd.Series(dtype=float))


def contrast(value: float, error: float = 1.0, df: float = 4.0) -> Contrast:
    return Contrast("a", Measure.LEVEL, None, Estimate(value, error, df, 5), EMPTY)


ESTIMATES = st.tuples(st.floats(-30, 30), st.floats(0.01, 5), st.floats(1.5, 40))


@settings(max_examples=150, deadline=None)
@given(st.lists(ESTIMATES, min_size=1, max_size=9), st.lists(st.floats(0, 1), max_size=4))
def test_an_interval_leaves_out_0_exactly_where_holm_rejects(
    estimates: list[tuple[float, float, float]], beside: list[float]
) -> None:
    family = adjust_family([contrast(*item) for item in estimates], beside)
    expected = multipletests([*(gap.estimate.p for gap in family), *beside], method="holm")[1]
    assert [gap.p_adjusted for gap in family] == pytest.approx(expected[: len(family)])
    for gap in family:
        assert gap.is_significant == (not gap.low <= 0 <= gap.high)
        assert gap.is_significant == (gap.decide(0.5) in (Verdict.BETTER, Verdict.WORSE))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_intervals_are_never_wider_than_bonferronis_nor_narrower_than_holms(
    p: list[float],
) -> None:
    levels = compute_interval_levels(p)
    rejected = multipletests(p, method="holm")[1] < ALPHA  # a p of 0.05 claims nothing
    assert (levels >= ALPHA / len(p) - 1e-15).all()
    still_open = ALPHA / max(1, len(p) - int(rejected.sum()))
    assert levels[~rejected] == pytest.approx(np.full(int((~rejected).sum()), still_open))
    assert (levels[rejected] <= still_open + 1e-15).all() or rejected.all()


def test_a_contrast_without_a_test_is_in_no_family() -> None:
    untested = contrast(3.0, np.nan, np.nan)
    first, second = adjust_family([untested, contrast(9.0)])
    assert (second.family_size, second.interval_alpha) == (1, ALPHA)
    assert np.isnan([first.p_adjusted, first.half_width]).all()
    assert first.decide(100.0) is Verdict.UNDECIDED


def test_every_verdict_is_reached() -> None:
    gaps = adjust_family([contrast(v, e) for v, e in ((-9, 1), (9, 1), (0.1, 0.05), (1, 1))])
    assert [gap.decide(0.5) for gap in gaps] == [
        Verdict.BETTER,
        Verdict.WORSE,
        Verdict.EQUIVALENT,
        Verdict.UNDECIDED,
    ]


def test_a_smaller_family_has_narrower_intervals() -> None:
    widths = [adjust_family([contrast(0.2)] * num)[0].half_width for num in (1, 2, 4, 8)]
    assert all(one < other for one, other in pairwise(widths))
