"""LaTeX, JSON, tables, and the run in MLflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic_sweep import make_sweep, write_folder, write_mlflow
from typer.testing import CliRunner

from analysis.cli import app
from analysis.errors import AnalysisError
from analysis.findings import Findings, compute_findings
from analysis.interface import write_report
from analysis.options import ReportOptions
from analysis.published import make_table3_results
from analysis.reporting.latex import format_latex
from analysis.reporting.measure_table import build_measure_tables
from analysis.reporting.report_json import format_report_json
from analysis.reporting.tables import build_contrast_table
from analysis.reporting.trial_differences import describe_trial_differences
from analysis.schema import Results
from analysis.sources.load_results import load_results
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.strata import format_stratum


def test_the_latex_table_is_the_papers_table_3_with_its_gaps() -> None:
    text = format_latex(build_comparisons(make_table3_results()))
    assert r"batchnorm & $6.43$ & $6.48$ & $7.39$ & $9.78$ & $11.15$ & $13.79$ & $8.98$ \\" in text
    assert r"groupnorm vs.\ assocnorm & $+0.83$ & $+0.65$ & $+0.60$" in text
    assert text.count(r"\\") == 6
    assert format_latex(build_comparisons(make_table3_results())).count("{") == format_latex(
        build_comparisons(make_table3_results())
    ).count("}")


def test_json_holds_the_numbers_and_null_for_what_is_missing(
    trials: Results, findings: Findings
) -> None:
    content = json.loads(format_report_json(trials, [findings]))
    (comparison,) = content["comparisons"]
    assert len(comparison["errors"]) == 12
    assert comparison["measures"][0]["auec"] == findings.measures[comparison["norms"][0]].auec.value
    assert comparison["published"] == []
    one = json.loads(
        format_report_json(
            make_table3_results(), compute_findings(make_table3_results(), ReportOptions())
        )
    )
    assert one["comparisons"][0]["errors"][0]["half_width_95"] is None


def test_norms_that_were_not_trained_alike_are_named(tmp_path: Path) -> None:
    sweep = make_sweep(num_seeds=1, num_epochs=2)
    for record in sweep["records"].values():
        record["spec"]["train"]["weight_decay"] = 0.1 / record["spec"]["batch_size"]
        if record["spec"]["norm"]["name"] == "batchnorm":
            record["spec"]["train"]["optimizer"]["lr"] = 0.5
    trials = load_results(write_folder(sweep, tmp_path))
    (note,) = [
        line
        for line in describe_trial_differences(trials, build_comparisons(trials))
        if "not trained alike" in line
    ]
    assert "train.optimizer.lr is 0.1 for assocnorm, 0.5 for batchnorm and 0.1 for gr" in note


def test_the_report_goes_onto_one_run(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{store}"
    write_mlflow(make_sweep(num_seeds=1, num_epochs=2), uri, tmp_path / "artifacts")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    arguments = ["report", "small", "--out", str(tmp_path / "report"), "--to-mlflow"]
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "private.txt").write_text("mine")
    for _ in range(2):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id], "tags.`sweep.kind` = 'report'")
    assert len(runs) == 1
    assert "12 of 12 trials" in runs[0].data.tags["mlflow.note.content"]
    names = {item.path for item in client.list_artifacts(runs[0].info.run_id)}
    assert {"report.html", "figures", "tables"} <= names
    assert "private.txt" not in names


def test_trials_that_occur_twice_are_told_apart(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{store}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    sweep = make_sweep(norms=("batchnorm",), batch_sizes=(4,), num_seeds=1, num_epochs=2)
    longer = make_sweep(norms=("batchnorm",), batch_sizes=(4,), num_seeds=1, num_epochs=3)
    sweep["records"] |= longer["records"]
    sweep["sweep"]["trials"] += longer["sweep"]["trials"]
    write_mlflow(sweep, uri, tmp_path / "artifacts")
    with pytest.raises(AnalysisError, match=r"differ in train\.epochs; choose with --where train"):
        load_results("small")
    assert load_results("small", {"train.epochs": "3"}).trials["num_epochs"].tolist() == [3]


@pytest.mark.parametrize(
    ("edition", "title", "detail"),
    [
        ("small edition: digits for cifar10 (all)", "Small edition", "digits for cifar10 (all)"),
        ("4 of 9 training images", "Part of the data", "4 of 9 training images"),
    ],
)
def test_a_report_says_in_large_letters_what_is_not_as_in_the_full_sweep(
    edition: str, title: str, detail: str, tmp_path: Path
) -> None:
    sweep = make_sweep(num_seeds=2)
    for record in sweep["records"].values():
        record["edition"] = edition
    write_report(load_results(write_folder(sweep, tmp_path / "runs")), tmp_path / "out")
    assert f"**{title.upper()}: {detail}**" in (tmp_path / "out/report.md").read_text()
    html = (tmp_path / "out/report.html").read_text()
    assert f'<div class="edition">{title}<small>{detail}. Not comparable' in html


def test_the_preset_of_a_record_decides_the_heading_and_not_its_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = make_sweep(num_seeds=2)
    for record in sweep["records"].values():
        record["edition"] = "few digits for cifar10"
        record["preset"] = {"preset": "small", "replaced": [], "data_parts": []}
    write_mlflow(sweep, f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    for source in (write_folder(sweep, tmp_path / "runs"), "small"):
        write_report(load_results(source), tmp_path / "out")
        text = (tmp_path / "out/report.md").read_text()
        assert "**SMALL EDITION: few digits for cifar10**" in text


def test_labels_give_an_edition_in_short() -> None:
    stratum = {"dataset": "digits", "model": "cnn", "variant": ""}
    small = "(small edition: digits for cifar10 (all))"
    assert format_stratum({**stratum, "edition": small}) == "digits (small edition), cnn"
    assert format_stratum({**stratum, "edition": "(4 of 9)"}) == "digits (4 of 9), cnn"


def test_a_grid_that_has_grown_is_still_one_edition(tmp_path: Path) -> None:
    """What its records say of seeds differs with the day; what they were trained on does not."""
    sweep = make_sweep(num_train=500)
    for record in sweep["records"].values():
        early = record["spec"]["seed"] == 0
        record["edition"] = f"small edition: digits for cifar10, {2 if early else 3} seeds for 5"
        record["attempts"][0]["started"] = f"2026-01-0{2 if early else 3}T03:04:05+00:00"
    trials = load_results(write_folder(sweep, tmp_path))
    (found,) = build_comparisons(trials)
    assert set(found.trials["edition"]) == {"(small edition: digits for cifar10, 3 seeds for 5)"}
    assert len(found.cells["batchnorm", 64].ended) == 3


def test_at_one_batch_size_no_table_holds_the_same_column_twice(tmp_path: Path) -> None:
    sweep = make_sweep(batch_sizes=(4,), num_seeds=3, num_epochs=1)
    (found,) = compute_findings(load_results(write_folder(sweep, tmp_path)), ReportOptions())
    assert build_contrast_table(found).headings == ("norm", "4")
    assert "AUEC" not in format_latex([found.comparison])


def test_the_latex_table_marks_what_diverged(findings: Findings) -> None:
    row = next(
        row for row in format_latex([findings.comparison]).splitlines() if "batchnorm &" in row
    )
    assert row.count(r"^{\dagger}") == 2
    assert row.count(r"\pm") == 5
    gap = next(
        row for row in format_latex([findings.comparison]).splitlines() if "batchnorm vs" in row
    )
    assert gap.count(r"^{\dagger}") == 2


def test_differences_that_rest_on_diverged_trials_are_marked(findings: Findings) -> None:
    table = build_contrast_table(findings)
    marked = {label: [cell.diverged for cell in cells] for label, cells in table.rows}
    sizes = findings.comparison.batch_sizes
    lost = [
        ("batchnorm", size)
        for size in sizes
        if findings.comparison.count_diverged("batchnorm", size)
    ]
    assert len(lost) == 1
    of_rise = lost[0][1] in (sizes[0], sizes[-1])
    assert marked["batchnorm"] == [True, of_rise, *(("batchnorm", size) in lost for size in sizes)]
    assert not any(marked["assocnorm"])
    assert table.notes[-1].startswith("†: trials behind it diverged")
    level = dict(build_measure_tables(findings)[0].rows)
    assert [cells[0].note for cells in level.values()].count("† 1 diverged") == 1


def test_at_one_batch_size_there_is_neither_level_nor_slope(tmp_path: Path) -> None:
    for sizes, titles in (((4,), 1), ((4, 2), 2)):
        sweep = make_sweep(batch_sizes=sizes, num_seeds=3, num_epochs=1)
        (found,) = compute_findings(
            load_results(write_folder(sweep, tmp_path / str(len(sizes)))), ReportOptions()
        )
        assert len(build_measure_tables(found)) == titles
