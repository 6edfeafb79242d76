"""One norm under several kinds of test statistics: numbers, figure, table and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic_sweep import diverge, make_sweep, record_statistics, write_folder

from analysis.figures import norm_statistics
from analysis.findings import Findings, compute_findings
from analysis.options import ReportOptions
from analysis.reporting.statistics_table import build_statistics_table, tabulate_test_statistics
from analysis.reporting.write_report import render_report
from analysis.sources.load_results import load_results
from analysis.statistics.decomposition import split_statistics_option

OFFSETS = {"ema": 0.0, "precise": -0.25, "batch": -0.1}


def findings_on(sweep: dict[str, Any], folder: Path) -> Findings:
    return compute_findings(load_results(write_folder(sweep, folder)), ReportOptions())[0]


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """BatchNorm in three ways, AssocNorm in two; BatchNorm's seed 1 diverged at batch size 2."""
    sweep = make_sweep(num_seeds=4, num_epochs=2)
    record_statistics(sweep, "batchnorm", OFFSETS)
    record_statistics(sweep, "assocnorm", {"ema": 0.0, "batch": 0.05})
    for record in sweep["records"].values():
        spec = record["spec"]
        if (spec["norm"]["name"], spec["batch_size"], spec["seed"]) == ("batchnorm", 2, 1):
            diverge(record, 1)
            record["epochs"][-1] |= {f"test_error_{kind}": None for kind in OFFSETS}
    return findings_on(sweep, tmp_path_factory.mktemp("runs"))


def test_each_kind_has_its_mean_and_t_interval(findings: Findings) -> None:
    assert list(findings.decomposed_norms) == ["batchnorm", "assocnorm"]
    trials = findings.comparison.trials
    for norm, kinds in (("batchnorm", OFFSETS), ("assocnorm", ("ema", "batch"))):
        cell = next(cell for cell in findings.decomposed_norms[norm] if cell.batch_size == 16)
        assert list(cell.means) == list(kinds)
        for kind, mean in cell.means.items():
            rows = trials.query("norm == @norm and batch_size == 16")
            errors = rows[f"test_error_{kind}"]
            half = stats.t.ppf(0.975, 3) * stats.sem(errors)
            assert (mean.value, mean.half_width) == pytest.approx((errors.mean(), half))


def test_harm_is_paired_by_seed(findings: Findings) -> None:
    cells = {cell.batch_size: cell for cell in findings.decomposed_norms["batchnorm"]}
    differences = 0.25 * (np.log2(128 / 16) + 0.1 * np.arange(4))
    expected = stats.ttest_1samp(differences, 0).confidence_interval()
    harm = cells[16].moving_average_harm
    assert harm is not None
    assert (harm.low, harm.high) == pytest.approx((expected.low, expected.high))
    assert all(cell.moving_average_harm is None for cell in findings.decomposed_norms["assocnorm"])


def test_a_diverged_trial_counts_at_chance_but_tells_nothing_of_harm(findings: Findings) -> None:
    cell = findings.decomposed_norms["batchnorm"][-1]
    assert (cell.batch_size, cell.diverged) == (2, {1})
    assert [found[1] for found in cell.errors.values()] == [90.0, 90.0, 90.0]
    assert cell.moving_average_harm is not None
    assert cell.moving_average_harm.num == 3
    assert cell.moving_average_harm.value == pytest.approx(0.25 * (6 + 0.1 * np.mean([0, 2, 3])))


def test_a_line_and_a_band_for_each_kind_in_a_panel_for_each_norm(findings: Findings) -> None:
    figure = norm_statistics.draw_norm_statistics(findings)
    assert figure is not None
    assert [axes.get_title("left") for axes in figure.axes] == ["batchnorm", "assocnorm"]
    for axes, (norm, kinds) in zip(figure.axes, findings.decomposed_norms.items(), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        names = [norm_statistics.KIND_NAMES[kind] for kind in kinds[0].errors]
        assert list(lines) == names, norm
        drawn = lines["test batch"].get_ydata()
        assert list(drawn) == [cell.means["batch"].value for cell in kinds]
        assert len(axes.collections) == len(names)


def test_the_table_has_a_row_for_each_kind_and_one_for_harm(findings: Findings) -> None:
    table = build_statistics_table(findings)
    assert table is not None
    assert [label for label, _ in table.rows] == [
        "batchnorm, moving average",
        "batchnorm, recomputed",
        "batchnorm, test batch",
        "batchnorm, moving average minus recomputed",
        "assocnorm, moving average",
        "assocnorm, test batch",
    ]
    assert table.headings[1:] == ("64", "16", "4", "2")
    assert table.rows[3][1][1].value == "+0.788"
    assert table.rows[1][1][3].note == "† 1 diverged"
    assert "left out of the difference" in table.notes[-1]


def test_the_files_say_the_same_and_only_where_it_was_recorded(
    findings: Findings, tmp_path: Path
) -> None:
    frame = tabulate_test_statistics(findings).set_index(["norm", "batch_size"])
    assert frame.loc[("batchnorm", 16), "ema_minus_precise"] == pytest.approx(0.7875)
    assert frame.loc[("batchnorm", 2), "ema_minus_precise_seeds"] == 3
    assert pd.isna(frame.loc[("assocnorm", 2), "precise"])
    sweep = make_sweep(num_seeds=1, num_epochs=1, batch_sizes=(4, 2))
    plain = load_results(write_folder(sweep, tmp_path / "plain"))
    without = render_report(plain, compute_findings(plain, ReportOptions()))
    record_statistics(sweep, "batchnorm", OFFSETS)
    further = load_results(write_folder(sweep, tmp_path / "further"))
    files = render_report(further, compute_findings(further, ReportOptions()))
    added = {f"figures/norm-statistics.{form}" for form in ("svg", "png", "pdf")}
    assert set(files) - set(without) == added | {"tables/statistics.csv"}
    (comparison,) = json.loads(files["report.json"])["comparisons"]
    assert len(comparison.pop("test_statistics")) == 2
    assert comparison == json.loads(without["report.json"])["comparisons"][0]
    assert b"test statistics" in files["report.md"]
    assert b"test_error_" not in without["tables/trials.csv"]


def test_statistics_at_test_time_make_a_family() -> None:
    label = "batchnorm(momentum=0.1, eval_statistics=batch)"
    assert split_statistics_option(label) == ("batchnorm(momentum=0.1)", "batch")
    assert split_statistics_option("batchnorm(eval_statistics=precise)") == ("batchnorm", "precise")
    assert split_statistics_option("batchnorm") == ("batchnorm", "ema")


def test_norms_that_differ_in_test_statistics_alone_are_compared_too(tmp_path: Path) -> None:
    norms = ("batchnorm", "batchnorm(eval_statistics=precise)", "groupnorm(num_groups=8)")
    found = findings_on(make_sweep(norms=norms), tmp_path)
    assert list(found.decomposed_norms) == ["batchnorm"]
    cell = found.decomposed_norms["batchnorm"][0]
    for kind, norm in zip(("ema", "precise"), norms[:2], strict=True):
        assert cell.means[kind] == found.comparison.cells[norm, 64].error
