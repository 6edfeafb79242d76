"""The measures against the published Table 3, NumPy's own least squares, and simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_table import only, rows_of, trials_of
from scipy import integrate, stats

from analysis.published import make_table3_results
from analysis.reporting.measure_table import tabulate_norm_measures
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.norm_measures import compute_measures
from analysis.statistics.robustness import (
    compute_auec,
    compute_degradation,
    compute_last_octave_slope,
    compute_regret,
    compute_relative_degradation,
    compute_safe_range,
    compute_slope,
    compute_split_regret,
    compute_worst_case,
)

SIZES = [64, 32, 8, 2]


def table(rows: list[list[float]], sizes: list[int] = SIZES) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=sizes, index=pd.RangeIndex(len(rows), name="seed"))


@pytest.mark.parametrize(
    ("norm", "area", "cost", "steepness", "worst", "regrets"),
    [
        ("assocnorm", 6.706, 0.92, 0.181, 7.11, (0.00, 0.01)),
        ("groupnorm", 7.213, 0.27, 0.053, 7.31, (0.51, 0.83)),
        ("batchnorm", 8.982, 7.36, 1.520, 13.79, (2.475, 6.68)),
    ],
)
def test_the_published_table_3(
    norm: str, area: float, cost: float, steepness: float, worst: float, regrets: tuple[float, ...]
) -> None:
    found = compute_measures(
        build_comparisons(make_table3_results())[0], 0.5, np.random.default_rng(0)
    )[norm]
    assert found.auec.value == pytest.approx(area, abs=5e-4)
    assert found.degradation.value == pytest.approx(cost, abs=5e-3)
    assert found.slope.value == pytest.approx(steepness, abs=5e-4)
    assert found.worst.value == pytest.approx(worst)
    assert (found.regret_mean.value, found.regret_max.value) == pytest.approx(regrets, abs=5e-3)
    assert np.isnan(found.auec.half_width)
    assert np.isnan(found.split_regret_mean.value)
    assert np.isnan(found.safe)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.1, 90), min_size=4, max_size=4))
def test_level_and_slope_are_those_of_scipy(errors: list[float]) -> None:
    steps = np.log2(64 / np.array(SIZES))
    frame = table([errors])
    assert compute_auec(frame)[0] == pytest.approx(integrate.trapezoid(errors, steps) / 5)
    fitted = stats.linregress(steps, errors).slope
    assert compute_slope(frame)[0] == pytest.approx(fitted, abs=1e-9)
    assert compute_last_octave_slope(frame)[0] == pytest.approx((errors[3] - errors[2]) / 2)
    relative = compute_relative_degradation(frame).iloc[0]
    assert np.exp(relative).to_numpy() == pytest.approx(np.array(errors) / errors[0])


def test_a_seed_without_a_batch_size_has_no_area() -> None:
    frame = table([[6, 7, 8, 9], [6, np.nan, 8, 9]])
    assert compute_auec(frame).notna().tolist() == [True, False]
    assert compute_slope(frame).notna().tolist() == [True, False]


def test_worst_case_is_the_maximum_of_means() -> None:
    assert compute_worst_case(table([[6, 6, 10, 6], [6, 6, 6, 9]])) == 8.0
    assert np.isnan(compute_worst_case(table([[6, 6, 10, np.nan], [6, 6, 6, np.nan]])))


def test_safe_range_ends_where_the_bound_passes_the_margin() -> None:
    frame = table([[6, 6.1, 6.2, 9], [6, 6.2, 6.1, 9.2], [6, 6.15, 6.3, 9.1]])
    assert compute_safe_range(frame, 0.5) == 3.0
    bound = stats.ttest_1samp(compute_degradation(frame)[8], 0).confidence_interval(0.9).high
    assert compute_safe_range(frame, bound - 1e-9) == 1.0
    assert compute_safe_range(frame, 100) == 5.0
    assert compute_safe_range(frame, 0.0) == 0.0
    assert np.isnan(compute_safe_range(frame.iloc[:2], 0.5))
    frame.loc[1:, 8] = np.nan  # one seed is left at the second step of three
    assert np.isnan(compute_safe_range(frame, 0.5))
    assert compute_safe_range(frame, 0.0) == 0.0


def test_programs_get_the_relative_rise_as_the_factor_of_the_page(tmp_path: Path) -> None:
    found = only(trials_of(tmp_path, rows_of({"a": {64: 6, 2: 9}}, seeds=5)))
    errors = {size: found.comparison.get_errors(size)["a"] for size in (64, 2)}
    logs = np.log(errors[2] / errors[64])
    low, high = stats.ttest_1samp(logs, 0).confidence_interval()
    (row,) = tabulate_norm_measures(found).to_dict("records")
    told = [row[name] for name in ("relative", "relative_low_95", "relative_high_95")]
    assert told == pytest.approx(np.exp([logs.mean(), low, high]))


def test_splitting_the_seeds_takes_the_bias_out_of_regret() -> None:
    """Four equal norms: true regret is 0; plugged in it is clearly above, split it is not."""
    rng = np.random.default_rng(7)
    plain, split = [], []
    for _ in range(400):
        tables = {norm: table(rng.normal(7, 0.3, (4, 4)).tolist()) for norm in "abcd"}
        plain.append(compute_regret(tables).to_numpy().mean())
        split.append(compute_split_regret(tables, rng).to_numpy().mean())
    standard_error = np.std(split) / np.sqrt(len(split))
    assert np.mean(plain) > 0.1
    assert abs(np.mean(split)) < 4 * standard_error


def test_split_regret_finds_a_true_regret() -> None:
    rng = np.random.default_rng(1)
    tables = {
        norm: table(rng.normal(level, 0.01, (4, 4)).tolist())
        for norm, level in (("a", 6), ("b", 7))
    }
    found = compute_split_regret(tables, rng)
    assert found.loc["a"].to_numpy() == pytest.approx(0, abs=1e-9)
    assert found.loc["b"].to_numpy() == pytest.approx(1, abs=0.05)


def test_drawn_splits_come_close_to_all_of_them() -> None:
    rng = np.random.default_rng(3)
    tables = {norm: table(rng.normal(7, 0.3, (8, 4)).tolist()) for norm in "ab"}
    every = compute_split_regret(tables, rng)
    drawn = compute_split_regret(tables, np.random.default_rng(0), max_splits=60)
    assert drawn.to_numpy() == pytest.approx(every.to_numpy(), abs=0.1)


def test_each_figure_says_how_many_seeds_it_rests_on(tmp_path: Path) -> None:
    rows = rows_of({"a": {64: 6, 4: 7, 2: 9}, "b": {64: 6, 4: 6, 2: 6}}, seeds=5)
    rows = [row for row in rows if not row.startswith(("a,2,4,", "b,4,3,"))]
    found = only(trials_of(tmp_path, rows))
    by_norm = {row["norm"]: row for row in tabulate_norm_measures(found).to_dict("records")}
    expected = {"auec_seeds": 4, "rise_seeds": 4, "worst_seeds": 4}
    expected |= {"safe_seeds": 4, "regret_mean_seeds": 4, "split_regret_max_seeds": 3}
    for row in by_norm.values():
        assert {name: row[name] for name in expected} == expected
    values = [name for name in by_norm["a"] if f"{name}_low_95" in by_norm["a"]]
    assert "slope" in values
    assert all(f"{name}_seeds" in by_norm["a"] for name in values if name != "divergence")
