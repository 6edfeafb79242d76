"""Errors that fall first and rise again, differences equal but for rounding, and small numbers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_table import BASE, only, rows_of, trials_of
from scipy import stats

from analysis.formatting import (
    choose_digits,
    choose_distinct_digits,
    format_half_width,
    format_interval,
    format_mean,
    format_number,
    format_points,
)
from analysis.reporting.best_norm_sentences import describe_smallest_batch
from analysis.reporting.latex import format_latex
from analysis.reporting.measure_table import build_measure_tables
from analysis.reporting.summary import write_answer
from analysis.reporting.tables import build_contrast_table, build_error_table
from analysis.statistics.inference.differences import compute_difference
from analysis.statistics.inference.intervals import SeedMean, estimate_mean
from analysis.statistics.robustness import compute_safe_range, compute_slope, compute_worst_rise

U = {64: 36.0, 16: 29.5, 4: 27.3, 2: 35.1}


def test_a_u_rises_by_its_last_octave_and_is_no_longer_safe_there() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (5, 4))
    errors = pd.DataFrame(np.array(list(U.values())) + noise, columns=list(U))
    assert abs(compute_slope(errors).mean()) < 0.7
    means = errors.mean()
    assert compute_worst_rise(errors) == pytest.approx(means[2] - means[4])
    assert compute_safe_range(errors, 0.5) == 4.0
    low = (errors[2] - errors[64]).mean()
    assert low < 0  # against the largest batch alone it would be safe


def test_an_error_that_only_falls_does_not_rise() -> None:
    errors = pd.DataFrame([[30, 27, 24, 22], [30.1, 27.2, 24.1, 22.3], [29.9, 27, 24.2, 22]])
    errors.columns = [64, 16, 4, 2]
    assert compute_worst_rise(errors) == 0
    assert compute_safe_range(errors, 0.5) == 5.0
    assert np.isnan(compute_worst_rise(errors.assign(**{"1": np.nan})))


def test_a_u_is_not_praised_for_the_slope_of_a_line(tmp_path: Path) -> None:
    falling = {64: 30.0, 16: 27.2, 4: 23.9, 2: 22.1}
    found = only(trials_of(tmp_path, rows_of({"bn": falling, "u": U}, seeds=5)))
    assert abs(found.measures["u"].slope.value) < abs(found.measures["bn"].slope.value)
    (axes,) = [line for line in write_answer(found) if line.startswith("As measured")]
    assert "bn has the lowest average error" in axes
    assert "its error rises least as the batch gets smaller (not at all)" in axes
    assert "u " not in axes


def test_differences_equal_but_for_rounding_are_equal(tmp_path: Path) -> None:
    first = np.array([8.19, 8.44, 5.15, 8.78, 5.36])
    second = first + 0.1 + np.array([0, 1e-14, -1e-14, 0, 0])
    assert 0 < np.ptp(second - first) < 1e-12
    found = compute_difference(pd.Series(second), pd.Series(first))
    assert np.isnan([found.p, found.paired.half_width]).all()
    rows = [
        f"{norm},{size},{seed},{value!r},completed,90,digits,cnn,360"
        for norm, values in (("bn", first), ("gn", second))
        for size in (64, 2)
        for seed, value in enumerate(map(float, values))
    ]
    comparison = only(trials_of(tmp_path, rows))
    text = " ".join(write_answer(comparison))
    assert "gn's error is 0.10 points higher than bn's (the same in every seed" in text
    assert "p <" not in text
    assert "equivalent" not in text
    ((_, cells),) = build_contrast_table(comparison).rows
    assert [(cell.value, cell.margin, cell.note) for cell in cells] == [
        ("+0.10", "", "n = 5"),
        ("0.00", "", "n = 5"),
        *[("+0.10", "", "n = 5")] * 2,
    ]


def test_equal_errors_are_equal_whatever_the_rounding(tmp_path: Path) -> None:
    rows = [
        f"{norm},{size},{seed},{7 + seed / 10 + (norm == 'b') * 1e-13!r},completed,90,d,m,99"
        for norm in "ab"
        for size in (4, 2)
        for seed in range(3)
    ]
    text = write_answer(only(trials_of(tmp_path, rows, BASE)))
    assert "b's error equals a's (the same in every seed" in text[0]


def test_a_small_difference_does_not_read_as_0() -> None:
    values = np.array([0.0030, 0.0031, 0.0029, 0.0032])
    mean = estimate_mean(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    assert (
        format_interval(mean) == f"{low:.{choose_digits(mean)}f} to {high:.{choose_digits(mean)}f}"
    )
    assert float(format_interval(mean).split(" to ")[0]) > 0
    assert format_points(0.00123) == "0.0012"
    assert choose_digits(SeedMean(0.0, 1.0, 1.2, 3)) == 1
    assert choose_digits(SeedMean(0.0001, 1.0, 1.2, 3)) == 1  # an interval with 0 needs no more


def test_numbers_that_are_compared_look_different() -> None:
    assert choose_distinct_digits([6.214, 6.197]) == 2
    assert choose_distinct_digits([6.201, 6.204]) == 3
    assert {format_number(v, choose_distinct_digits([6.201, 6.204])) for v in (6.201, 6.204)} == {
        "6.201",
        "6.204",
    }
    assert choose_distinct_digits([0.2, 0.2 + 1e-12]) == 2


def test_the_smallest_rises_are_not_told_apart_by_numbers_that_look_alike(tmp_path: Path) -> None:
    levels = {"a": (6.0, 6.2), "b": (7.0, 7.2004), "c": (8.0, 8.1996), "d": (9.0, 9.9)}
    rows = [
        f"{norm},{size},{seed},{error + seed / 10},completed,90,digits,cnn,360"
        for norm, errors in levels.items()
        for size, error in zip((64, 4), errors, strict=True)
        for seed in range(3)
    ]
    (axes,) = [
        t for t in write_answer(only(trials_of(tmp_path, rows))) if t.startswith("As measured")
    ]
    assert "the errors of a, b and c rise least" in axes
    assert axes.count("0.20") == 1


def test_opposite_verdicts_do_not_follow_likewise(tmp_path: Path) -> None:
    levels = {"a": {64: 6, 4: 6}, "b": {64: 9, 4: 9}, "c": {64: 3, 4: 3}}
    text = write_answer(only(trials_of(tmp_path, rows_of(levels, seeds=4))))
    assert "points higher than a's" in text[0]
    assert text[1].startswith("c's error is 3.")
    assert "points lower than a's" in text[1]
    assert "Likewise" not in " ".join(text)


def test_of_thirteen_norms_three_are_named(tmp_path: Path) -> None:
    levels = {f"n{i:02}": {64: 6.0, 4: 6.0} for i in range(14)}
    found = only(trials_of(tmp_path, rows_of(levels, sd=0.4)))
    for line in write_answer(found):
        assert sum(f"n{i:02}" in line for i in range(14)) <= 5, line


@pytest.mark.parametrize(
    ("value", "half_width", "shown"),
    [
        (7.1234, 0.0123, "7.123 ± 0.012"),
        (7.1234, 0.123, "7.12 ± 0.12"),
        (7.1234, 1.23, "7.1 ± 1.2"),
        (71.234, 12.3, "71 ± 12"),
        (71.234, 0.0996, "71.23 ± 0.10"),
        (1.26, 1.24, "1.26 ± 1.24"),  # so that its lower end, 0.02, does not read as 0
        (7.1234, np.nan, "7.12 ± "),
    ],
)
def test_printed_digits_are_the_significant_ones(
    value: float, half_width: float, shown: str
) -> None:
    mean = SeedMean(value, 1.0, half_width, 5)
    assert f"{format_mean(mean)} ± {format_half_width(mean)}" == shown


def test_tables_print_as_many_digits_as_the_seeds_know(tmp_path: Path) -> None:
    levels = {"a": {64: 10.0, 2: 10.0}, "b": {64: 20.0, 2: 20.0}}
    coarse = only(trials_of(tmp_path, rows_of(levels, seeds=4, sd=1.0)))
    fine = only(trials_of(tmp_path, rows_of(levels, seeds=4, sd=0.01)))
    for found, digits in ((coarse, 1), (fine, 3)):
        for table in (
            build_error_table(found.comparison),
            build_contrast_table(found),
            build_measure_tables(found)[0],
        ):
            for _, cells in table.rows:
                for cell in cells:
                    if cell.margin:
                        assert len(cell.value.partition(".")[2]) == len(
                            cell.margin.partition(".")[2]
                        )
                        assert len(cell.margin.replace(".", "").lstrip("0")) == 2
        text = format_latex([found.comparison])
        errors = re.findall(r"\$(\d+\.?\d*) \\pm", text)
        assert {len(error.partition(".")[2]) for error in errors} <= {digits, digits + 1}


def test_equal_means_read_alike_whatever_their_spread(tmp_path: Path) -> None:
    errors = {"wide": (1.0, 2.0, 3.0), "narrow": (1.99, 2.0, 2.01), "worse": (5.0, 6.1, 8.0)}
    rows = [
        f"{norm},4,{seed},{error},completed,90,digits,cnn,360"
        for norm, values in errors.items()
        for seed, error in enumerate(values)
    ]
    text = describe_smallest_batch(only(trials_of(tmp_path, rows)).comparison)
    assert re.match(
        r"At batch size 4: (wide|narrow) 2\.000 %, (wide|narrow) 2\.000 %, worse 6\.4 %;", text
    )
