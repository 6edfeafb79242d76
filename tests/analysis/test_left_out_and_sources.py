"""Cells that a grid leaves out, trials of two sources, and a grid's file in place of its sweep."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from synthetic_sweep import make_sweep, write_folder, write_mlflow
from typer.testing import CliRunner

from analysis.cli import app
from analysis.errors import AnalysisError
from analysis.reporting.html import TEMPLATE
from analysis.reporting.page import slugs
from analysis.reporting.source_changes import unlike_sources
from analysis.reporting.tables import error_table
from analysis.reporting.trial_coverage import coverage
from analysis.sources.load_results import load_results
from analysis.sources.source_location import locate_source
from analysis.statistics.comparison import build_comparisons

LEFT_OUT = [
    {"norm": "instancenorm", "variant": "", "batch_sizes": [4, 2], "why": "one value a channel"},
    {"norm": "batchnorm", "variant": "", "batch_sizes": [1], "why": "excluded by the grid"},
]


@pytest.mark.parametrize("kind", ["records", "mlflow"])
def test_cells_that_are_left_out_are_listed_with_the_reason(
    kind: str, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = make_sweep(norms=("batchnorm", "assocnorm"), batch_sizes=(4, 2, 1), num_seeds=2)
    kept = [t for t in sweep["sweep"]["trials"] if (t["norm"], t["batch_size"]) != ("batchnorm", 1)]
    sweep["sweep"]["trials"] = kept
    ids = {trial["trial_id"] for trial in kept}
    sweep["records"] = {key: item for key, item in sweep["records"].items() if key in ids}
    sweep["sweep"]["left_out"] = LEFT_OUT
    if kind == "records":
        trials = load_results(write_folder(sweep, tmp_path))
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
        write_mlflow(sweep, f"sqlite:///{store}", tmp_path)
        trials = load_results("small")
    (found,) = build_comparisons(trials)
    lines = coverage(found)
    assert "Not trained: instancenorm at batch sizes 4 and 2: one value a channel." in lines
    assert "Not trained: batchnorm at batch size 1: excluded by the grid." in lines
    if kind == "records":  # the made-up tags ask for every norm at every batch size
        notes = {label: [cell.note for cell in cells] for label, cells in error_table(found).rows}
        assert notes["batchnorm"] == ["2 of 2", "2 of 2", "not trained"]


def test_trials_of_two_sources_are_told_with_their_cells(tmp_path: Path) -> None:
    sweep = make_sweep(norms=("mine:Norm", "batchnorm"), batch_sizes=(4, 2), num_seeds=3)
    for trial in sweep["sweep"]["trials"]:
        if trial["norm"] == "mine:Norm":
            digest = "aaaa1111ffff" if trial["batch_size"] == 4 else "bbbb2222ffff"
            sweep["records"][trial["trial_id"]]["attempts"][-1]["source"] = digest
    (found,) = build_comparisons(load_results(write_folder(sweep, tmp_path)))
    (line,) = unlike_sources(found)
    assert "mine:Norm was changed between runs" in line
    assert "aaaa1111 by 3 trials: mine:Norm at batch size 4 (seeds 0 to 2)" in line
    assert "bbbb2222 by 3 trials: mine:Norm at batch size 2 (seeds 0 to 2)" in line
    for record in sweep["records"].values():
        record["attempts"][-1].pop("source", None)
    (same,) = build_comparisons(load_results(write_folder(sweep, tmp_path, exist_ok=True)))
    assert unlike_sources(same) == []


def test_a_grid_file_stands_for_its_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    grid = Path("grid.yaml")
    grid.write_text("name: small\nstorage: kept\nfactors: {norm: [batchnorm]}\n")
    with pytest.raises(AnalysisError, match=r"no records in kept/small.*sweep run grid.yaml"):
        locate_source(grid)
    write_folder(make_sweep(num_seeds=2), tmp_path / "kept")
    assert (locate_source(grid).kind, locate_source(grid).path) == ("records", Path("kept/small"))
    done = CliRunner().invoke(app, ["report", "grid.yaml", "--out", "out"])
    assert done.exit_code == 0, done.output
    grid.write_text("- no grid\n")
    with pytest.raises(AnalysisError, match=r"grid.yaml is no grid"):
        locate_source(grid)


def test_compare_takes_a_setting_for_both(tmp_path: Path) -> None:
    rows = [f"{n},4,{s},{6 + s / 9 + lr},{lr}" for n in "ab" for s in range(3) for lr in (0.1, 1.0)]
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text(
            "\n".join(["norm,batch_size,seed,test_error,lr", *rows])
        )
    pair = [str(tmp_path / "one.csv"), str(tmp_path / "two.csv")]
    out = ["--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, ["compare", *pair, *out])
    assert refused.exit_code == 2
    assert "--where lr=" in refused.output
    done = CliRunner().invoke(app, ["compare", *pair, *out, "--where", "lr=0.1"])
    assert done.exit_code == 0, done.output


def test_file_names_are_short_and_tell_the_variants_apart() -> None:
    base = "cifar10 (small edition), resnet18, train.optimizer.lr="
    assert slugs([f"{base}0.1", f"{base}1"]) == ["lr-0.1", "lr-1"]
    assert slugs(["digits, cnn", "DIGITS, cnn"]) == ["digits", "digits-2"]
    long = ["x" * 90 + "1", "x" * 90 + "2", "x" * 90 + "2"]
    assert len(set(slugs(long))) == 3
    assert max(map(len, slugs(long))) <= 42


def test_a_narrow_page_shows_whole_charts() -> None:
    styles = TEMPLATE.read_text()
    assert "figure img { display: block; width: 100%" in styles
    assert not re.search(r"\.drawing img \{ width: \d+rem", styles)
