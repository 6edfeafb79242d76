"""Failures to learn, compared one batch size at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_table import only, trials_of
from scipy import stats

from analysis.findings import Findings, compute_findings
from analysis.options import ReportOptions
from analysis.reporting.failure_rate_table import build_failure_table, tabulate_failure_rates
from analysis.reporting.measure_table import tabulate_norm_measures
from analysis.reporting.summary import write_answer
from analysis.statistics.failure_rates import compute_fisher_p


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_the_exact_test_is_that_of_scipy(first: int, second: int, data: st.DataObject) -> None:
    a, b = data.draw(st.integers(0, first)), data.draw(st.integers(0, second))
    expected = stats.fisher_exact([[a, first - a], [b, second - b]]).pvalue
    assert compute_fisher_p(a, first, b, second) == pytest.approx(expected)


def sweep_with_failures(tmp_path: Path, failed: int, seeds: int = 5, extra: str = "") -> Findings:
    """bn and gn at 64 and 2; the first `failed` seeds of bn at 2 end at chance or diverge."""
    rng = np.random.default_rng(0)
    rows = []
    for norm in ("gn", "bn"):
        for size in (64, 2):
            for seed in range(seeds):
                error, outcome = 7 + rng.normal(0, 0.1), "completed"
                if (norm, size) == ("bn", 2) and seed < failed:
                    error, outcome = (90, "completed") if seed % 2 else (50, "diverged")
                rows.append(f"{norm},{size},{seed},{error:.4f},{outcome},90,digits,cnn,360")
    return only(trials_of(tmp_path, [*rows, *filter(None, [extra])]))


def test_where_some_seeds_learn_the_sentence_is_about_the_rate(tmp_path: Path) -> None:
    found = sweep_with_failures(tmp_path, failed=3)
    low, high = stats.binomtest(3, 5).proportion_ci()
    text = " ".join(write_answer(found))
    p = stats.fisher_exact([[3, 2], [0, 5]]).pvalue
    assert "bn and gn are compared by how often they learn, and not by mean error" in text
    assert f"at batch size 2 3 of 5 trials of bn ({100 * low:.0f} to {100 * high:.0f} %)" in text
    assert f"0 of 5 trials of gn (0 to 52 %) learnt nothing (exact p = {p:.2f} after Holm)" in text
    assert "points higher" not in text
    assert "not distinguishable" not in text.split("At batch size")[0]


@pytest.mark.parametrize("failed", [0, 5])
def test_where_all_or_no_seeds_learn_the_means_are_compared(tmp_path: Path, failed: int) -> None:
    found = sweep_with_failures(tmp_path, failed)
    text = write_answer(found)
    assert not any("how often they learn" in line for line in text)
    assert any("Averaged over batch sizes" in line for line in text)
    assert (build_failure_table(found) is None) == (failed == 0)


def test_each_batch_size_has_its_own_interval_and_test(tmp_path: Path) -> None:
    found = sweep_with_failures(tmp_path, failed=4)
    table = tabulate_failure_rates(found).set_index(["norm", "batch_size"])
    assert table["learnt_nothing"].to_dict() == {
        ("gn", 64): 0,
        ("gn", 2): 0,
        ("bn", 64): 0,
        ("bn", 2): 4,
    }
    row = table.loc[("bn", 2)]
    assert row["diverged"] == 2
    assert (row["rate_low_95"], row["rate_high_95"]) == pytest.approx(
        stats.binomtest(4, 5).proportion_ci()
    )
    assert row["p"] == pytest.approx(stats.fisher_exact([[4, 1], [0, 5]]).pvalue)
    assert table["p"].notna().sum() == 1  # nothing failed at 64, and the reference is not tested
    assert not any("divergence" in name for name in tabulate_norm_measures(found))
    page = build_failure_table(found)
    assert page is not None
    assert page.rows[1][1][1].value == "4 of 5"
    assert "† 2 diverged" in page.rows[1][1][1].note


def test_the_tests_of_a_report_are_one_family(tmp_path: Path) -> None:
    frame = sweep_with_failures(tmp_path, failed=5).comparison.trials
    second = frame.assign(variant="other", trial_id=frame["trial_id"] + " of other")
    from analysis.sources.load_results import load_results

    both = load_results(pd.concat([frame, second], ignore_index=True))
    found = compute_findings(both, ReportOptions(reference="gn"))
    raw = stats.fisher_exact([[5, 0], [0, 5]]).pvalue
    assert [item.failure_p["bn", 2] for item in found] == pytest.approx([2 * raw, 2 * raw])


def test_the_closest_call_is_no_norm_of_which_only_some_seeds_learn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for norm in ("gn", "bn"):
        for size in (64, 2):
            for seed in range(5):
                fails = (norm, size) == ("bn", 2) and seed < 2
                error = 90 if fails else 7 + rng.normal(0, 0.1)
                rows.append(f"{norm},{size},{seed},{error:.4f},completed,90,digits,cnn,360")
    text = " ".join(write_answer(only(trials_of(tmp_path, rows))))
    assert "bn and gn are compared by how often they learn" in text
    assert "closest call" not in text
