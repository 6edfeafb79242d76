"""The declared contrasts under each design, and what is never mixed or praised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_table import BASE, only, rows_of, trials_of
from scipy import stats

from analysis import load_results
from analysis.errors import AnalysisError
from analysis.findings import compute_findings
from analysis.options import ReportOptions
from analysis.reporting.page import build_page
from analysis.reporting.summary import write_answer
from analysis.reporting.tables import tabulate_contrasts
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.contrasts import ContrastTest
from analysis.statistics.inference.family import Measure, Verdict
from analysis.statistics.inference.weighted_contrasts import combined_estimate, level_weights

LEVELS = {"a": {64: 6.0, 16: 6.5, 2: 8.0}, "b": {64: 6.2, 16: 6.4, 2: 7.0}}
WITH_SEEDING = BASE + ",seeding"


def seeded(levels: dict[str, dict[int, float]], seeding: str, **how: float) -> list[str]:
    return [f"{row},{seeding}" for row in rows_of(levels, **how)]  # type: ignore[arg-type]


def test_streams_by_seed_and_batch_size_have_the_combined_test(tmp_path: Path) -> None:
    rows = seeded(LEVELS, "per_cell", seeds=4, sd=0.3)
    found = only(trials_of(tmp_path, rows, WITH_SEEDING)).comparison
    assert found.test is ContrastTest.COMBINED
    table = found.scored.pivot(index="seed", columns=["norm", "batch_size"], values="error")
    differences = [(table["b"][b] - table["a"][b]).to_numpy() for b in (64, 16, 2)]
    level, rise = found.declared_contrasts
    assert level.estimate == combined_estimate(differences, level_weights((64, 16, 2)))
    welch = stats.ttest_ind(differences[2], differences[0], equal_var=False)
    assert rise.value / rise.estimate.standard_error == pytest.approx(welch.statistic)
    assert level.estimate.df > 3


def test_a_seed_that_lacks_a_batch_size_still_counts_at_the_others(tmp_path: Path) -> None:
    rows = seeded(LEVELS, "per_cell", seeds=4, sd=0.3)
    found = only(trials_of(tmp_path, rows[:-1], WITH_SEEDING)).comparison
    assert found.declared_contrasts[0].num == 3
    paired = only(trials_of(tmp_path, rows_of(LEVELS, seeds=4, sd=0.3)[:-1])).comparison
    assert paired.declared_contrasts[0].num == 3
    assert paired.declared_contrasts[0].value != found.declared_contrasts[0].value


def test_the_exact_sign_flips_stand_beside_the_combined_test_alone(tmp_path: Path) -> None:
    combined = only(trials_of(tmp_path, seeded(LEVELS, "per_cell", sd=0.3), WITH_SEEDING))
    table = tabulate_contrasts(combined)
    declared = table[table["measure"] != "error"]
    assert declared["p_sign_flip"].between(2**-9, 1).all()
    assert table.loc[table["measure"] == "error", "p_sign_flip"].isna().all()
    paired = tabulate_contrasts(only(trials_of(tmp_path, rows_of(LEVELS, sd=0.3))))
    assert paired["p_sign_flip"].isna().all()


def test_the_report_says_which_test_it_used_and_why(tmp_path: Path) -> None:
    for seeding, words in (
        ("per_cell", "batch sizes are independent replicates by design"),
        ("per_seed", "depend on the seed alone"),
    ):
        trials = trials_of(tmp_path, seeded(LEVELS, seeding), WITH_SEEDING)
        methods = dict(build_page(trials, compute_findings(trials, ReportOptions())).methods)
        assert words in methods["Test"]


def test_trials_of_both_designs_are_two_comparisons_of_one_family(tmp_path: Path) -> None:
    rows = seeded(LEVELS, "per_cell", sd=0.3) + seeded(LEVELS, "per_seed", sd=0.3, seed=1)
    found = build_comparisons(trials_of(tmp_path, rows, WITH_SEEDING))
    assert [item.label for item in found] == [
        "digits, cnn, streams by seed and batch size",
        "digits, cnn, streams by seed",
    ]
    assert [item.test for item in found] == [ContrastTest.COMBINED, ContrastTest.PAIRED]
    assert {gap.family_size for item in found for gap in item.declared_contrasts} == {4}
    (alone,) = build_comparisons(trials_of(tmp_path, rows[: len(rows) // 2], WITH_SEEDING))
    assert alone.label == "digits, cnn"


def test_an_unknown_seeding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="`seeding` must be one of per_seed, per_cell"):
        trials_of(tmp_path, seeded(LEVELS, "by_moon"), WITH_SEEDING)


def test_without_a_common_seed_level_and_robustness_are_welchs(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        [
            (norm, size, seed + (10 if norm == "b" else 0), level + 0.2 * np.sin(7 * seed + size))
            for norm, errors in LEVELS.items()
            for size, level in errors.items()
            for seed in range(4)
        ],
        columns=["norm", "batch_size", "seed", "test_error"],
    )
    (found,) = compute_findings(load_results(frame), ReportOptions())
    assert found.comparison.test is ContrastTest.UNPAIRED
    wide = frame.pivot(index=["norm", "seed"], columns="batch_size", values="test_error")
    rise = wide[2] - wide[64]
    expected = stats.ttest_ind(rise["b"], rise["a"], equal_var=False)
    gap = found.comparison.get_declared_contrasts(Measure.ROBUSTNESS)[0]
    assert gap.estimate.p == pytest.approx(expected.pvalue)
    text = " ".join(write_answer(found))
    assert "Unpaired, by Welch's test" in text
    assert "From batch size 64 to 2" in text


def test_an_error_at_chance_is_not_robust(tmp_path: Path) -> None:
    rows = rows_of({"a": {64: 6, 2: 30}}, seeds=4)
    rows += [
        f"dead,{size},{seed},{89.5 + seed / 9},completed,90,digits,cnn,360"
        for size in (64, 2)
        for seed in range(4)
    ]
    found = only(trials_of(tmp_path, rows))
    (gap,) = found.comparison.get_declared_contrasts(Measure.ROBUSTNESS)
    assert gap.value < -20
    assert not gap.is_tested
    assert found.decide(gap) is Verdict.UNDECIDED
    assert "rises" not in " ".join(write_answer(found))


def test_robustness_is_decided_where_the_level_is_not(tmp_path: Path) -> None:
    levels = {"a": {64: 6.0, 16: 7.0, 2: 9.0}, "b": {64: 7.3, 16: 7.2, 2: 7.1}}
    found = only(trials_of(tmp_path, rows_of(levels, seeds=5, sd=0.35)))
    level, rise = found.comparison.declared_contrasts
    assert (found.decide(level), found.decide(rise)) == (Verdict.UNDECIDED, Verdict.BETTER)
    text = " ".join(write_answer(found))
    assert "From batch size 64 to 2, b's error rises 3." in text
    assert "points less than a's" in text
