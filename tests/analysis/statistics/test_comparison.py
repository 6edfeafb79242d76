"""What a comparison makes of complete, ragged and ugly trials, and what the answer then says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_table import BASE, only, rows_of, trials_of
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from analysis.errors import AnalysisError
from analysis.findings import compute_findings
from analysis.options import ReportOptions
from analysis.reporting.power_sentences import describe_power
from analysis.reporting.summary import summarize_results, write_answer
from analysis.reporting.trial_coverage import describe_coverage, list_missing_trials
from analysis.statistics.best_norms import find_best_norms
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.contrasts import ContrastTest, build_seed_contrast
from analysis.statistics.inference.differences import compute_difference
from analysis.statistics.inference.family import Measure, Verdict, adjust_family
from analysis.statistics.inference.intervals import ALPHA


def test_gaps_are_paired_and_the_declared_family_is_level_and_robustness(tmp_path: Path) -> None:
    rows = rows_of({"a": {64: 6, 2: 7}, "b": {64: 6.5, 2: 9}, "c": {64: 6, 2: 7}})
    found = only(trials_of(tmp_path, rows)).comparison
    assert found.test is ContrastTest.PAIRED
    table = found.scored.pivot(index="seed", columns=["norm", "batch_size"], values="error")
    level = {norm: (table[norm][64] + table[norm][2]) / 2 for norm in "abc"}
    rise = {norm: table[norm][2] - table[norm][64] for norm in "abc"}
    raw = [stats.ttest_rel(of[norm], of["a"]).pvalue for norm in "bc" for of in (level, rise)]
    gaps = found.declared_contrasts
    assert [str(gap.measure) for gap in gaps] == ["auec", "degradation"] * 2
    assert [gap.estimate.p for gap in gaps] == pytest.approx(raw)
    expected = multipletests(raw, method="holm")[1]
    assert [gap.p_adjusted for gap in gaps] == pytest.approx(expected)
    assert len(found.cell_contrasts) == 4


def test_a_diverged_trial_counts_at_chance_and_survivors_stand_beside(tmp_path: Path) -> None:
    rows = rows_of({"a": {64: 6, 2: 7}, "b": {64: 6, 2: 8}})
    rows[-1] = "b,2,2,,diverged,90,digits,cnn,360"
    found = only(trials_of(tmp_path, rows))
    cell = found.comparison.cells["b", 2]
    assert cell.error.value == pytest.approx((8 * 2 + 90) / 3, abs=0.1)
    assert cell.survivors.value == pytest.approx(8, abs=0.1)
    assert cell.diverged == (2,)
    assert found.measures["b"].diverged == 1
    assert any("Diverged: b at batch size 2 (1 of 3)" in line for line in write_answer(found))


def test_all_diverged_gives_no_interval_and_no_claim(tmp_path: Path) -> None:
    rows = rows_of({"a": {64: 6, 2: 7}, "b": {64: 6}})
    rows += [f"b,2,{s},,diverged,90,digits,cnn,360" for s in range(3)]
    found = only(trials_of(tmp_path, rows))
    cell = found.comparison.cells["b", 2]
    assert (cell.error.value, cell.survivors.num) == (90, 0)
    assert np.isnan(cell.error.half_width)


def test_norms_that_all_diverge_alike_are_neither_better_nor_worse(tmp_path: Path) -> None:
    rows = [f"{n},4,{s},,diverged,90,digits,cnn,360" for n in "ab" for s in range(3)]
    first, second = write_answer(only(trials_of(tmp_path, rows)))
    assert first.startswith("No trial has learnt anything: every one diverged or ended at the ")
    assert second.startswith("Diverged: a at batch size 4 (3 of 3) and b at batch size 4 (3 of 3)")


def test_ties_are_not_certainty(tmp_path: Path) -> None:
    rows = [f"{n},4,{s},{7 + (n == 'b')},completed,90,d,m,99" for n in "ab" for s in range(3)]
    found = only(trials_of(tmp_path, rows))
    assert not found.comparison.declared_contrasts[0].is_significant
    assert "the same in every seed, so there is no interval" in write_answer(found)[0]


def test_one_seed_claims_nothing(tmp_path: Path) -> None:
    found = only(trials_of(tmp_path, rows_of({"a": {64: 6, 2: 7}, "b": {64: 9, 2: 9}}, seeds=1)))
    assert "over 1 seed, too few for an interval" in write_answer(found)[0]
    assert "Fewer than 3 seeds in 4 cells" in " ".join(describe_coverage(found.comparison))
    assert not re.search(r"(?<!not )distinguishable from every", " ".join(write_answer(found)))


def test_too_few_seeds_are_not_called_a_failure_to_distinguish(tmp_path: Path) -> None:
    """With two seeds nothing was tested; with many norms as with few the answer says so."""
    for norms in ("ab", "abcdefg"):
        levels = {norm: {64: 6 + place, 2: 7 + place} for place, norm in enumerate(norms)}
        found = only(trials_of(tmp_path, rows_of(levels, seeds=2)))
        text = " ".join(write_answer(found))
        assert "distinguishable" not in text
        others = "b" if len(norms) == 2 else "any other norm"
        assert f"these seeds cannot test it against {others} (fewer than three" in text
        assert "closest call" not in text


def test_the_closest_call_is_settled_at_the_level_that_holm_leaves_it(tmp_path: Path) -> None:
    levels = {"a": {4: 6.0}, "b": {4: 9.0}, "c": {4: 6.5}, "d": {4: 6.2}}
    found = only(trials_of(tmp_path, rows_of(levels, sd=0.4)), ReportOptions(margin=0.01))
    gaps = {gap.norm: gap for gap in found.comparison.declared_contrasts}
    assert [name for name, gap in gaps.items() if gap.is_significant] == ["b"]
    closest = min((gaps["c"], gaps["d"]), key=lambda gap: gap.estimate.p)
    paired = closest.difference.paired
    needed = next(
        num
        for num in range(3, 1001)
        if TTestPower().power(abs(paired.value) / paired.sd, num, ALPHA / 2) >= 0.8
    )
    (line,) = [line for line in write_answer(found) if "closest call" in line]
    assert f"The closest call is {closest.norm}" in line
    assert f"would show it four times in five with {needed} seeds, planned from the start" in line
    assert "more seed" not in line


def test_unequal_seeds_pair_over_the_common_ones_and_are_listed(tmp_path: Path) -> None:
    rows = rows_of({"a": {64: 6, 2: 7}, "b": {64: 6, 2: 8}}, seeds=4)
    trials = trials_of(tmp_path, rows[:-1])
    found = only(trials)
    assert found.comparison.declared_contrasts[0].difference.paired.num == 3
    assert list_missing_trials(found.comparison) == ["b at batch size 2: seed 3 no row"]


def test_auec_runs_over_batch_sizes_that_all_norms_were_asked_for(tmp_path: Path) -> None:
    from dataclasses import replace

    trials = trials_of(tmp_path, rows_of({"a": {4: 6, 2: 7, 1: 9}, "b": {4: 6, 2: 8}}))
    asked = trials.expected.query("norm == 'a' or batch_size > 1")
    found = only(replace(trials, expected=asked, has_grid=True)).comparison
    assert found.common_batch_sizes == (4, 2)
    assert ("b", 1) not in found.cells
    assert not list_missing_trials(found)
    fewer = replace(trials, trials=trials.trials.drop(index=0), has_grid=True)
    first = describe_coverage(only(fewer).comparison)[0]
    assert first == "14 of 15 trials have a result: 2 norms, batch sizes 4 to 1, 2 to 3 seeds each."


def test_what_is_clearly_apart_is_called_so_and_what_is_not_is_not(tmp_path: Path) -> None:
    levels = {"a": {64: 6, 2: 6}, "b": {64: 8, 2: 9}, "c": {64: 6.02, 2: 6.01}}
    found = only(trials_of(tmp_path, rows_of(levels, seeds=5)))
    text = " ".join(write_answer(found))
    assert re.search(r"b's error is 2\.[45]\d* points higher than a's", text)
    assert "c and a are not distinguishable with 5 seeds" in text
    assert "equivalent within ±0.5 points" in text
    by_norm = {g.norm: g for g in found.comparison.get_declared_contrasts(Measure.LEVEL)}
    assert found.is_equivalent(by_norm["c"])
    assert found.decide(by_norm["b"]) is Verdict.WORSE
    assert "c is as robust as a: their rises from batch size 64 to 2 differ by less than" in text


def test_a_wide_spread_is_neither_different_nor_equivalent(tmp_path: Path) -> None:
    levels = {"a": {64: 6, 2: 6}, "b": {64: 6.3, 2: 6.3}}
    found = only(trials_of(tmp_path, rows_of(levels, sd=0.8)))
    assert "Nor are they shown to be equivalent within ±0.5 points" in write_answer(found)[0]
    lines = describe_power(found)
    assert "a difference in AUEC is found four times in five as the first of 2 by Holm" in lines[0]
    assert "a difference in the rise to the smallest batch" in lines[1]
    assert any(
        "The closest call is b" in line and "planned from the start" in line
        for line in write_answer(found)
    )
    assert "test set of 360 examples" in lines[-1]


def test_the_headline_is_short(tmp_path: Path) -> None:
    many = {f"n{i}": {64: 6 + i, 2: 7 + i} for i in range(7)}
    lines = summarize_results(trials_of(tmp_path, rows_of(many)))
    assert len(lines) <= 4
    assert re.search(
        r"of n6 \(\+6\.01 ± 0\.\d+\), n5 \(.*\), n4 \(\+3\.99 ± 0\.\d+\) and 3 more are", lines[1]
    )
    assert "are higher than n0" in lines[1]


def test_the_best_is_bold_only_against_all_pairs() -> None:
    values = {
        "a": pd.Series([6.0, 6.1, 6.2]),
        "b": pd.Series([9.0, 9.1, 9.21]),
        "c": pd.Series([6.1, 6.0, 6.4]),
    }
    best = find_best_norms({4: values}, "none of them", {})[4]
    assert best is not None
    assert (best.norm, best.not_separated) == ("a", ("c",))
    assert find_best_norms({4: {}}, "a", {}) == {4: None}


def test_the_lowest_is_set_apart_as_the_table_of_gaps_has_it(tmp_path: Path) -> None:
    levels = {"a": {64: 6, 8: 6, 2: 6.5}, "b": {64: 6.3, 8: 6.4, 2: 7}, "c": {64: 7, 8: 6.2, 2: 9}}
    for seed in range(20):
        found = only(trials_of(tmp_path, rows_of(levels, sd=0.2, seed=seed))).comparison
        for gap in found.cell_contrasts:
            best = found.get_best_norm(gap.batch_size)
            assert best is not None
            if best.norm in (gap.norm, found.reference):
                other = gap.norm if best.norm == found.reference else found.reference
                assert (other in best.not_separated) == (not gap.is_significant)


@pytest.mark.parametrize("num_norms", [2, 3])
def test_equal_norms_are_rarely_set_apart_at_any_batch_size(num_norms: int) -> None:
    """At each of six batch sizes there is a lowest one: a false claim at any of them counts."""
    rng, repeats, claims = np.random.default_rng(0), 400, 0
    names = [f"n{i}" for i in range(num_norms)]
    for _ in range(repeats):
        errors = {b: {n: pd.Series(rng.normal(size=5)) for n in names} for b in range(6)}
        pairs = [(n, b) for n in names[1:] for b in range(6)]
        gaps = adjust_family(
            [
                build_seed_contrast(n, b, compute_difference(errors[b][n], errors[b]["n0"]))
                for n, b in pairs
            ]
        )
        adjusted = {(gap.norm, gap.batch_size): gap.p_adjusted for gap in gaps}
        claims += any(
            best and not best.not_separated
            for best in find_best_norms(errors, "n0", adjusted).values()
        )
    assert claims / repeats < 0.08  # nominal 5 %, and the simulation's own error


def test_the_same_lowest_mean_is_shared(tmp_path: Path) -> None:
    errors = {"a": 5, "b": 5, "c": 6}
    rows = [f"{n},64,0,{error},completed,90,digits,cnn,360" for n, error in errors.items()]
    found = only(trials_of(tmp_path, rows))
    assert "At batch size 64 a and b share the lowest mean error." in write_answer(found)


def test_editions_and_data_sets_are_never_averaged(tmp_path: Path) -> None:
    header = BASE + ",edition,variant"
    rows = [row + ",," for row in rows_of({"a": {4: 6}, "b": {4: 7}})]
    rows += [row + ",(500 training images)," for row in rows_of({"a": {4: 20}, "b": {4: 21}})]
    rows += [row + ",,lr=0.1" for row in rows_of({"a": {4: 6}, "b": {4: 7}})]
    found = build_comparisons(trials_of(tmp_path, rows, header))
    labels = ["digits, cnn", "digits, cnn, lr=0.1", "digits (500 training images), cnn"]
    assert [item.label for item in found] == labels
    means = [item.cells["a", 4].error.value for item in found]
    assert means == pytest.approx([6, 6, 20], abs=0.2)


def test_the_reference_comes_first_and_must_exist(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, rows_of({"a": {4: 6}, "b": {4: 7}}))
    assert only(trials, ReportOptions(reference="b")).comparison.norms == ("b", "a")
    with pytest.raises(AnalysisError, match="no norm 'c'"):
        build_comparisons(trials, "c")


def test_mixed_versions_are_named(tmp_path: Path) -> None:
    from analysis.reporting.page import build_page

    rows = [
        row + f",v{number % 2}" for number, row in enumerate(rows_of({"a": {4: 6}, "b": {4: 7}}))
    ]
    trials = trials_of(tmp_path, rows, BASE + ",code_version")
    content = build_page(trials, compute_findings(trials, ReportOptions()))
    assert "These trials come from different code versions: v0 (3 trials) and v1 (3 trials)." in (
        content.notes
    )
