"""A watched layer's curves and top-5 errors: shown as recorded, and only where recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic_sweep import diverge, make_sweep, write_folder

from analysis.errors import AnalysisError
from analysis.figures.recorded_curves import drawer, watched
from analysis.findings import Findings, findings_of
from analysis.options import Options
from analysis.reporting.recorded_table import recorded_frame, recorded_tables
from analysis.reporting.tables import top5_frame, top5_table
from analysis.reporting.write_report import files_of
from analysis.schema import Results
from analysis.sources.load_results import load_results
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.top5_errors import compare_by_top5


def further_metrics(sweep: dict[str, Any]) -> dict[str, Any]:
    """`sweep` of 100 classes with a watched layer and top-5 errors a fifth of the top-1 errors."""
    for place, record in enumerate(sweep["records"].values()):
        record["chance_error"] = 99.0
        record["spec"]["train"]["watch"] = "activation5"
        for epoch in record["epochs"]:
            epoch["test_top5_error"] = epoch["test_error"] / 5
            epoch["activation_mean"] = -0.1 * epoch["epoch"]
            epoch["activation_variance"] = 10.0 ** epoch["epoch"] + place
    return sweep


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Its last trial diverged in the third epoch and keeps the curve of the first two."""
    sweep = further_metrics(make_sweep(batch_sizes=(16, 2)))
    last = list(sweep["records"].values())[-1]
    diverge(last, 3)
    unknown = ("test_top5_error", "activation_mean", "activation_variance")
    last["epochs"][-1] |= dict.fromkeys(unknown)
    return load_results(write_folder(sweep, tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def findings(trials: Results) -> Findings:
    return findings_of(trials, Options())[0]


def test_every_trial_is_a_curve_of_the_watched_layer(findings: Findings) -> None:
    figure = drawer("activation_variance", "variance")(findings)
    assert figure is not None
    assert watched(findings) == "activation5"
    assert [axes.get_title("left") for axes in figure.axes] == ["batch size 16", "batch size 2"]
    for axes, size in zip(figure.axes, (16, 2), strict=True):
        assert axes.get_yscale() == "log"
        drawn = [line.get_ydata() for line in axes.get_lines() if len(line.get_xdata()) > 2]
        values = np.sort(np.concatenate(drawn))
        epochs = findings.comparison.epochs.query("batch_size == @size")
        expected = np.sort(epochs["activation_variance"].dropna())
        assert values[np.isfinite(values)].tolist() == expected.tolist()
        crosses = [line.get_xdata() for line in axes.get_lines() if line.get_marker() == "x"]
        assert [x.tolist() for x in crosses] == ([] if size == 16 else [[2.0]])


def test_a_mean_below_zero_is_drawn_on_a_linear_scale(findings: Findings) -> None:
    figure = drawer("activation_mean", "mean")(findings)
    assert figure is not None
    assert {axes.get_yscale() for axes in figure.axes} == {"linear"}
    assert figure.axes[0].get_ylim()[0] < -0.5


def test_top5_errors_are_a_table_of_their_own(findings: Findings) -> None:
    frame = top5_frame(findings).set_index(["norm", "batch_size"])
    whole = findings.comparison.cells
    for norm, size in (("batchnorm", 16), ("batchnorm", 2), ("assocnorm", 16)):
        error = whole[norm, size].error
        cell = frame.loc[(norm, size)]
        assert cell["mean_error"] == pytest.approx(error.value / 5)
        assert cell["half_width_95"] == pytest.approx(error.half_width / 5)
    assert findings.by_top5 is not None
    table = top5_table(findings.by_top5)
    assert table.title == "Top-5 test error"
    assert [label for label, _ in table.rows] == list(findings.comparison.norms)


def test_a_diverged_trial_scores_what_guessing_five_classes_scores(findings: Findings) -> None:
    assert findings.by_top5 is not None
    scored = findings.by_top5.scored
    assert scored.loc[scored["diverged"], "error"].tolist() == [95.0]
    assert findings.comparison.scored["error"].max() == 99.0


def test_a_trial_without_top5_error_is_missing_there_alone(trials: Results) -> None:
    (comparison,) = build_comparisons(trials)
    first = comparison.trials.index[0]
    comparison.trials.loc[first, "test_top5_error"] = np.nan
    compared = compare_by_top5(comparison)
    assert compared is not None
    assert len(compared.trials) == len(comparison.trials) - 1
    assert sum(len(cell.missing) for cell in compared.cells.values()) == 1
    assert sum(len(cell.missing) for cell in comparison.cells.values()) == 0


def test_the_report_has_them_only_where_they_were_recorded(tmp_path: Path) -> None:
    small = {"batch_sizes": (4, 2), "num_seeds": 1, "num_epochs": 1}
    found = {}
    for name, sweep in (
        ("plain", make_sweep(**small)),
        ("further", further_metrics(make_sweep(**small))),
    ):
        trials = load_results(write_folder(sweep, tmp_path / name))
        found[name] = files_of(trials, findings_of(trials, Options()))
    assert set(found["further"]) - set(found["plain"]) == {
        "tables/top5_errors.csv",
        "tables/top5_errors.tex",
        "tables/recorded.csv",
        *(f"figures/activation-mean.{form}" for form in ("svg", "png", "pdf")),
        *(f"figures/activation-variance.{form}" for form in ("svg", "png", "pdf")),
    }
    (further,) = json.loads(found["further"]["report.json"])["comparisons"]
    (plain,) = json.loads(found["plain"]["report.json"])["comparisons"]
    assert set(further) - set(plain) == {"top5_errors", "recorded"}
    assert b"### Top-5 test error" in found["further"]["report.md"]
    assert b"outputs of activation5" in found["further"]["report.md"]
    assert b"Top-5" not in found["plain"]["report.md"]


def test_gradient_norms_and_clipping_are_shown_for_those_that_recorded_them(tmp_path: Path) -> None:
    sweep = make_sweep(norms=("groupnorm(num_groups=8)", "batchrenorm"), batch_sizes=(16, 2))
    for record in sweep["records"].values():
        for epoch in record["epochs"]:
            epoch["gradient_norm"] = 2.0 + record["spec"]["seed"] / epoch["epoch"]
            if record["spec"]["norm"]["name"] == "batchrenorm":
                epoch["clipped_fraction"] = 0.25 / record["spec"]["batch_size"]
                epoch["test_clipped_fraction"] = 0.5
    found = findings_of(load_results(write_folder(sweep, tmp_path)), Options())[0]
    clipped = drawer("clipped_fraction", "fraction")(found)
    assert clipped is not None
    (legend,) = clipped.legends
    assert [text.get_text() for text in legend.get_texts()] == ["batchrenorm"]
    frame = recorded_frame(found).set_index(["metric", "norm", "batch_size"])
    assert len(frame) == 4 + 2 + 2
    seeds = 2.0 + np.arange(3) / 5
    cell = frame.loc[("gradient_norm", "batchrenorm", 2)]
    interval = stats.ttest_1samp(seeds, 0).confidence_interval()
    assert cell["mean"] == pytest.approx(seeds.mean())
    assert cell["half_width_95"] == pytest.approx((interval.high - interval.low) / 2)
    tables = {table.title: table for table in recorded_tables(found)}
    (row,) = tables["Channels whose r or d was clipped, training"].rows
    assert [shown.value for shown in row[1]] == ["1.56", "12.50"]


def test_a_csv_may_have_top5_errors_and_they_are_percent(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    table = pd.DataFrame({"norm": ["a", "b"], "batch_size": 4, "seed": 0, "test_error": 9.5})
    table.assign(test_top5_error=[1.5, 2.5]).to_csv(path, index=False)
    trials = load_results(path)
    assert trials.trials["test_top5_error"].tolist() == [1.5, 2.5]
    assert trials.notes == ()
    table.assign(test_top5_error=[1.5, 102.5]).to_csv(path, index=False)
    with pytest.raises(AnalysisError, match="0 <= test_top5_error <= 100"):
        load_results(path)
