"""A rise in error is split between statistics and SGD, seed by seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_up_table import BASE, rows_of, trials_of
from scipy import stats

from analysis.findings import compute_findings
from analysis.options import ReportOptions
from analysis.reporting.statistics_or_sgd_section import describe_harm
from analysis.reporting.summary import summarize_results
from analysis.reporting.write_report import render_report
from analysis.schema import Results
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.statistics_or_sgd import separate_harm

EACH, FIXED = "train.optimizer_batch_size=null", "train.optimizer_batch_size=64"


def halves(
    tmp_path: Path, each: dict[str, dict[int, float]], fixed: dict[str, dict[int, float]]
) -> Results:
    rows = [f"{row},{EACH}" for row in rows_of(each, seeds=5)]
    rows += [f"{row},{FIXED}" for row in rows_of(fixed, seeds=5, seed=1)]
    return trials_of(tmp_path, rows, BASE + ",variant")


def test_the_two_parts_are_paired_differences_that_add_up(tmp_path: Path) -> None:
    each = {"a": {64: 6, 8: 7, 2: 14}, "b": {64: 7, 8: 7, 2: 9}}
    fixed = {"a": {64: 6, 8: 6.5, 2: 11}, "b": {64: 7, 8: 7, 2: 7}}
    trials = halves(tmp_path, each, fixed)
    (item,) = separate_harm(build_comparisons(trials))
    assert [rise.norm for rise in item.rises] == ["a", "b"]
    table = trials.trials.pivot(
        index="seed", columns=["norm", "variant", "batch_size"], values="test_error"
    )
    for rise in item.rises:
        assert (rise.largest, rise.smallest, rise.num_examples) == (64, 2, 64)
        whole, part = (
            table[rise.norm][half][2] - table[rise.norm][half][64] for half in (EACH, FIXED)
        )
        assert rise.total.value == pytest.approx(whole.mean())
        assert rise.statistics.value == pytest.approx(part.mean())
        interval = stats.ttest_rel(whole, part).confidence_interval()
        assert (rise.sgd.low, rise.sgd.high) == pytest.approx((interval.low, interval.high))
        assert rise.sgd.value == pytest.approx(rise.total.value - rise.statistics.value)
    intro, first, second = describe_harm(item)
    assert intro.endswith("in the other after 64 examples, however few share statistics.")
    assert first.startswith(
        "a: of the rise of 7.954 ± 0.075 points from batch size 64 to 2, 4.981 ± "
    )
    assert "come from small-batch statistics, and the rest, 2.973 ± " in first
    assert "from small-batch statistics, not distinguishable from none, and the rest" in second


def test_the_report_opens_with_it_and_holds_its_numbers(tmp_path: Path) -> None:
    trials = halves(tmp_path, {"a": {64: 6, 2: 9}}, {"a": {64: 6, 2: 7}})
    files = render_report(trials, compute_findings(trials, ReportOptions()))
    page = files["report.md"].decode()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings[:3] == [
        "## Statistics or SGD",
        "## digits, cnn, optimizer steps after each batch",
        "## digits, cnn, optimizer steps after 64 examples",
    ]
    (row,) = json.loads(files["report.json"])["statistics_or_sgd"]
    assert row["statistics"] + row["sgd"] == pytest.approx(row["total"])
    assert b"a,64,2,64,5," in files["tables/statistics_or_sgd.csv"]
    assert summarize_results(trials)[1].startswith("a: of the rise of 3.")


def test_with_few_seeds_no_interval_is_given_and_diverged_trials_are_named(tmp_path: Path) -> None:
    rows = [f"{row},{EACH}" for row in rows_of({"a": {64: 6, 2: 9}}, seeds=2)]
    rows += [f"{row},{FIXED}" for row in rows_of({"a": {64: 6, 2: 7}}, seeds=2)]
    rows[3] = f"a,2,1,,diverged,90,digits,cnn,360,{EACH}"
    (item,) = separate_harm(build_comparisons(trials_of(tmp_path, rows, BASE + ",variant")))
    assert np.isnan(item.rises[0].sgd.half_width)
    _, first, second = describe_harm(item)
    assert "(2 seeds in both halves, no interval)" in first
    assert second == "Some trials of a diverged and count at the error of guessing."


def test_a_part_that_is_the_same_under_every_seed_is_told_in_a_sentence(tmp_path: Path) -> None:
    rows = [f"{row},{half}" for half in (EACH, FIXED) for row in rows_of({"a": {64: 6, 2: 9}})]
    (item,) = separate_harm(build_comparisons(trials_of(tmp_path, rows, BASE + ",variant")))
    rise = item.rises[0].total
    told = f"{rise.value:.3f} ± {rise.half_width:.3f}"
    assert describe_harm(item)[1] == (
        f"a: the rise of {told} points from batch size 64 to 2 is one of {told} with statistics "
        "alone, which leaves 0.00 for small-batch SGD (3 seeds in both halves, no interval)."
    )


def test_where_all_diverged_in_both_halves_nothing_is_credited(tmp_path: Path) -> None:
    rows = [
        row
        for half in (EACH, FIXED)
        for row in (
            *(f"{row},{half}" for row in rows_of({"a": {64: 6}, "b": {64: 6, 2: 7}})),
            *(f"a,2,{seed},,diverged,90,digits,cnn,360,{half}" for seed in range(3)),
        )
    ]
    (item,) = separate_harm(build_comparisons(trials_of(tmp_path, rows, BASE + ",variant")))
    lost, kept = item.rises
    assert (lost.norm, lost.at_chance, kept.at_chance) == ("a", True, False)
    assert lost.total.value == pytest.approx(84, abs=0.1)
    assert np.isnan([lost.statistics.value, lost.sgd.value]).all()
    assert (
        "every trial at batch size 2 diverged in both halves, so nothing" in describe_harm(item)[1]
    )


def test_halves_that_differ_in_something_else_are_no_pair(tmp_path: Path) -> None:
    rows = [f'{row},"{EACH}, lr=0.1"' for row in rows_of({"a": {64: 6, 2: 9}})]
    rows += [f'{row},"{FIXED}, lr=0.2"' for row in rows_of({"a": {64: 6, 2: 7}})]
    trials = trials_of(tmp_path, rows, BASE + ",variant")
    assert separate_harm(build_comparisons(trials)) == ()
    plain = trials_of(tmp_path, rows_of({"a": {64: 6, 2: 9}}))
    assert separate_harm(build_comparisons(plain)) == ()
