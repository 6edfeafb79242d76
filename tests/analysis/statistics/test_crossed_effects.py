"""Seeds and test examples as two sources of chance: against ANOVA, and by simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from synthetic_sweep import diverge, make_sweep, write_folder

from analysis.findings import Findings, compute_findings
from analysis.options import ReportOptions
from analysis.reporting.power_sentences import describe_power
from analysis.reporting.test_set_table import build_test_set_table as table_of
from analysis.reporting.write_report import render_report
from analysis.sources.load_results import load_results
from analysis.statistics.crossed_effects import estimate_crossed_mean
from analysis.statistics.inference.family import Measure

NUM_TEST = 360


def keep_correct(sweep: dict[str, Any], folder: Path, skip: frozenset[str] = frozenset()) -> None:
    """Let each trial have its hardest examples wrong, so that its error is that of its file."""
    rng = np.random.default_rng(0)
    for record in sweep["records"].values():
        count = round(record["epochs"][-1]["test_error"] or 0)
        wrong = np.zeros(NUM_TEST, dtype=bool)
        wrong[rng.choice(NUM_TEST // 4, count, replace=False)] = True
        record["epochs"][-1]["test_error"] = 100 * count / NUM_TEST
        home = folder / "small" / "trials" / record["trial_id"]
        if record["trial_id"] not in skip:
            home.mkdir(parents=True)
            np.save(home / "correct.npy", np.packbits(~wrong))


def findings_on(sweep: dict[str, Any], folder: Path, skip: frozenset[str]) -> Findings:
    keep_correct(sweep, folder, skip)
    return compute_findings(
        load_results(write_folder(sweep, folder, exist_ok=True)), ReportOptions()
    )[0]


def test_variances_are_those_of_a_two_way_analysis() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(4, 1)) + rng.normal(size=(1, 40)) + rng.normal(1, 2, (4, 40))
    found = estimate_crossed_mean(values)
    long = pd.DataFrame(values).melt(ignore_index=False, var_name="i", value_name="d")
    table = anova_lm(ols("d ~ C(s) + C(i)", long.rename_axis("s").reset_index()).fit())
    squares = table["mean_sq"]
    seeds, examples, rest = (squares[n] / values.size for n in ("C(s)", "C(i)", "Residual"))
    assert found.value == pytest.approx(values.mean())
    assert found.over_seeds == pytest.approx(stats.t.ppf(0.975, 3) * np.sqrt(seeds))
    assert found.over_examples == pytest.approx(stats.t.ppf(0.975, 39) * np.sqrt(examples))
    df = (seeds + examples - rest) ** 2 / (seeds**2 / 3 + examples**2 / 39)
    both = stats.t.ppf(0.975, df) * np.sqrt(seeds + examples - rest)
    assert found.over_both == pytest.approx(max(both, found.over_seeds, found.over_examples))


@pytest.mark.parametrize("num_seeds", [3, 10])
def test_the_interval_for_both_covers_where_that_of_seeds_alone_does_not(num_seeds: int) -> None:
    """Examples matter as much as seeds: new seeds on the same test set say nothing of them."""
    rng = np.random.default_rng(num_seeds)
    covered = np.zeros(3)
    for _ in range(1000):
        seeds, examples = rng.normal(0, 0.1, (num_seeds, 1)), rng.normal(0, 1, (1, 100))
        found = estimate_crossed_mean(seeds + examples + rng.normal(0, 1, (num_seeds, 100)))
        halves = np.array([found.over_seeds, found.over_examples, found.over_both])
        covered += abs(found.value) <= halves
    alone, _, both = covered / 1000
    assert both >= 0.93
    if num_seeds == 10:
        assert alone < 0.85


def test_two_seeds_give_the_test_sets_part_alone() -> None:
    found = estimate_crossed_mean(np.random.default_rng(0).normal(size=(2, 50)))
    assert np.isnan(found.over_seeds)
    assert np.isnan(found.over_both)
    assert found.over_examples > 0


def test_the_difference_is_that_of_auec_and_diverged_trials_guess(tmp_path: Path) -> None:
    sweep = make_sweep()
    lost = list(sweep["records"].values())[3]
    diverge(lost, 2)
    found = findings_on(sweep, tmp_path, frozenset({lost["trial_id"]}))
    comparison = found.comparison
    assert list(found.test_set_contrasts) == list(comparison.norms[1:])
    for gap in comparison.get_declared_contrasts(Measure.LEVEL):
        mean = found.test_set_contrasts[gap.norm]
        assert mean.value == pytest.approx(gap.difference.paired.value)
        assert mean.over_seeds == pytest.approx(gap.difference.paired.half_width)
        assert (mean.num_seeds, mean.num_examples) == (3, NUM_TEST)
    assert "360 test examples" in describe_power(found)[-1]
    table = table_of(found)
    assert table is not None
    assert [label for label, _ in table.rows] == list(comparison.norms[1:])


def test_a_norm_that_kept_no_examples_is_named(tmp_path: Path) -> None:
    sweep = make_sweep()
    without = frozenset(
        r["trial_id"] for r in sweep["records"].values() if r["spec"]["norm"]["name"] == "assocnorm"
    )
    found = findings_on(sweep, tmp_path, without)
    assert "assocnorm" not in found.test_set_contrasts
    assert "table of test-set error lacks assocnorm: no seed kept" in describe_power(found)[-1]


def test_only_seeds_whose_files_fit_their_errors_count(tmp_path: Path) -> None:
    sweep = make_sweep()
    records = list(sweep["records"].values())
    keep_correct(sweep, tmp_path)
    write_folder(sweep, tmp_path, exist_ok=True)
    trials = tmp_path / "small" / "trials"
    reference = next(r for r in records if r["spec"]["norm"]["name"] == "groupnorm")
    other = np.packbits(np.ones(NUM_TEST, dtype=bool))
    np.save(trials / reference["trial_id"] / "correct.npy", other)
    (trials / records[-1]["trial_id"] / "correct.npy").write_text("damaged")
    found = compute_findings(load_results(tmp_path / "small"), ReportOptions())[
        0
    ].test_set_contrasts
    assert {norm: mean.num_seeds for norm, mean in found.items()} == {
        "batchnorm": 2,
        "assocnorm": 1,
    }
    files = render_report(
        load_results(tmp_path / "small"),
        compute_findings(load_results(tmp_path / "small"), ReportOptions()),
    )
    assert files["tables/test_set.csv"].count(b"groupnorm(num_groups=8)") == 2
