"""The probability that one norm beats another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_table import only, rows_of, trials_of
from scipy import stats

from analysis.reporting.measure_table import build_measure_tables, tabulate_norm_measures
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


def test_the_report_has_the_probability_of_each_norm_to_beat_the_reference(tmp_path: Path) -> None:
    levels = {"bn": {64: 6.0, 2: 9.0}, "gn": {64: 6.0, 2: 6.5}, "dead": {64: 90.0, 2: 90.0}}
    found = only(trials_of(tmp_path, rows_of(levels, seeds=5)))
    rows = {row["norm"]: row for row in tabulate_norm_measures(found).to_dict("records")}
    low, high = stats.binomtest(5, 5).proportion_ci()
    told = [rows["gn"][f"beats_reference{end}"] for end in ("", "_low_95", "_high_95", "_seeds")]
    assert told == pytest.approx([1.0, low, high, 5])
    assert np.isnan([rows[norm]["beats_reference"] for norm in ("bn", "dead")]).all()
    table = build_measure_tables(found)[-1]
    assert table.headings[-1] == "beats the reference"
    assert {label: cells[-1].value for label, cells in table.rows} == {
        "bn": "–",
        "gn": "100 %",
        "dead": "–",
    }
