"""Several sources in one report: what is pooled, what stays apart, and what is refused."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic_sweep import make_sweep, write_folder, write_mlflow
from typer.testing import CliRunner

from analysis.cli import app
from analysis.interface import write_report
from analysis.schema import PER_CELL, PER_SEED, PresetInfo, Results
from analysis.sources.load_results import load_results
from analysis.sources.merge_results import merge_results
from analysis.statistics.comparison import build_comparisons

BOTH = ("batchnorm", "assocnorm")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(
    folder: Path, name: str, changes: dict[str, Any] | None = None, **size: Any
) -> tuple[Path, Results]:
    """A sweep's folder; `changes` of every spec's `train` section."""
    sweep = make_sweep(**{"norms": BOTH, "batch_sizes": (4, 2), "num_epochs": 2, **size})
    sweep["sweep"] |= {"name": name, "experiment": name}
    for record, trial in zip(sweep["records"].values(), sweep["sweep"]["trials"], strict=True):
        record["spec"]["train"] |= changes or {}
        record["trial_id"] += "".join(map(str, (changes or {}).values()))
        trial["trial_id"] = record["trial_id"]
    sweep["records"] = {record["trial_id"]: record for record in sweep["records"].values()}
    path = write_folder(sweep, folder)
    return path, load_results(path)


def test_sweeps_of_one_protocol_are_pooled_and_a_trial_of_both_enters_once(tmp_path: Path) -> None:
    _, first = write(tmp_path, "first", num_seeds=2)
    _, second = write(tmp_path, "second", num_seeds=3, batch_sizes=(8, 4))
    merged = merge_results([first, second])
    (found,) = build_comparisons(merged)
    assert merged.name == "first + second"
    assert not merged.trials.duplicated("trial_id").any()
    assert found.cells["batchnorm", 4].ended == (0, 1, 2)
    assert found.cells["batchnorm", 2].ended == (0, 1)
    assert found.cells["assocnorm", 8].ended == (0, 1, 2)
    shared = set(first.trials["trial_id"]) & set(second.trials["trial_id"])
    assert len(shared) == 4
    assert len(merged.trials) == len(first.trials) + len(second.trials) - 4
    assert len(merged.epochs) == 2 * len(merged.trials)
    assert merged.notes[0] == "Pooled, as their protocols are the same: first and second."


def test_sweeps_of_other_settings_stay_apart_under_the_settings_name(tmp_path: Path) -> None:
    _, first = write(tmp_path, "first")
    _, second = write(tmp_path, "second", {"weight_decay": 0.1})
    _, third = write(tmp_path, "third", {"weight_decay": 0.2})
    merged = merge_results([first, second, third])
    comparisons = build_comparisons(merged)
    assert [item.label.partition("allcnn, ")[2] for item in comparisons] == [
        "train.weight_decay=null",
        "train.weight_decay=0.1",
        "train.weight_decay=0.2",
    ]
    assert all(len(item.cells["batchnorm", 2].ended) == 3 for item in comparisons)
    assert merged.notes[0] == "Not pooled: first with second; they differ in train.weight_decay."


def test_a_factor_of_one_sweep_is_matched_with_the_fixed_setting_of_another(
    tmp_path: Path,
) -> None:
    _, fixed = write(tmp_path, "fixed", {"weight_decay": 0.1}, num_seeds=1)
    sweep = make_sweep(norms=BOTH, batch_sizes=(4, 2), num_epochs=2, num_seeds=2)
    crossed = make_sweep(norms=BOTH, batch_sizes=(4, 2), num_epochs=2, num_seeds=2, seed=1)
    for part, level in ((sweep, 0.1), (crossed, 0.2)):
        for record, trial in zip(part["records"].values(), part["sweep"]["trials"], strict=True):
            record["spec"]["train"]["weight_decay"] = level
            record["trial_id"] += str(level)
            trial |= {"variant": f"train.weight_decay={level}", "trial_id": record["trial_id"]}
    sweep["sweep"]["trials"] += crossed["sweep"]["trials"]
    records = [*sweep["records"].values(), *crossed["records"].values()]
    sweep["records"] = {record["trial_id"]: record for record in records}
    sweep["sweep"]["name"] = "crossed"
    merged = merge_results([fixed, load_results(write_folder(sweep, tmp_path))])
    low, high = build_comparisons(merged)
    assert low.label.endswith("train.weight_decay=0.1")
    assert high.label.endswith("train.weight_decay=0.2")
    assert low.cells["batchnorm", 2].ended == (0, 1)
    assert set(low.trials["sweep"]) == {"fixed", "crossed"}


def test_one_label_for_two_layers_is_not_one_norm(tmp_path: Path) -> None:
    norms = ("batchnorm", "groupnorm(num_groups=8)")
    _, first = write(tmp_path, "first", norms=norms)
    sweep = make_sweep(norms=norms, batch_sizes=(4, 2), num_epochs=2)
    sweep["sweep"] |= {"name": "second", "experiment": "second"}
    for record, trial in zip(sweep["records"].values(), sweep["sweep"]["trials"], strict=True):
        if trial["norm"] != "batchnorm":
            record["spec"]["norm"]["options"]["num_groups"] = 4
            record["trial_id"] += "x"
            trial["trial_id"] += "x"
    sweep["records"] = {record["trial_id"]: record for record in sweep["records"].values()}
    merged = merge_results([first, load_results(write_folder(sweep, tmp_path))])
    assert [item.label.partition("allcnn, ")[2] for item in build_comparisons(merged)] == [
        "sweep=first",
        "sweep=second",
    ]


def test_one_layer_under_two_labels_gets_the_first_sources_label(tmp_path: Path) -> None:
    norms = ("batchnorm", "groupnorm(num_groups=8)")
    _, first = write(tmp_path, "first", norms=norms, num_seeds=1)
    sweep = make_sweep(norms=norms, batch_sizes=(4, 2), num_epochs=2, num_seeds=2)
    sweep["sweep"] |= {"name": "second", "reference": "groupnorm"}
    for trial in sweep["sweep"]["trials"]:
        trial["norm"] = trial["norm"].partition("(")[0]
    merged = merge_results([first, load_results(write_folder(sweep, tmp_path))])
    (found,) = build_comparisons(merged)
    assert found.norms == ("groupnorm(num_groups=8)", "batchnorm")
    assert found.cells["groupnorm(num_groups=8)", 2].ended == (0, 1)


def test_trials_of_another_spec_version_are_never_mixed_in(tmp_path: Path) -> None:
    _, first = write(tmp_path, "first")
    sweep = make_sweep(norms=BOTH, batch_sizes=(4, 2), num_epochs=2, num_seeds=4)
    sweep["sweep"] |= {"name": "second", "experiment": "second"}
    for record in sweep["records"].values():
        record["spec_version"] = 2
    merged = merge_results([first, load_results(write_folder(sweep, tmp_path))])
    assert len(build_comparisons(merged)) == 2
    assert "they differ in spec_version" in merged.notes[0]


def test_tables_are_pooled_unless_they_hold_the_same_cells(tmp_path: Path) -> None:
    header = "norm,batch_size,seed,test_error\n"
    texts = {
        "a": "bn,4,0,6\nbn,4,1,7\n",
        "b": "gn,4,0,6.5\ngn,4,1,6.6\n",
        "c": "bn,4,0,9\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(header + text)
    found = {name: load_results(tmp_path / f"{name}.csv") for name in texts}
    (pooled,) = build_comparisons(merge_results([found["a"], found["b"]]))
    assert pooled.norms == ("bn", "gn")
    apart = build_comparisons(merge_results([found["a"], found["c"]]))
    assert [item.label for item in apart] == ["sweep=a", "sweep=c"]
    assert merge_results([found["a"]]) is found["a"]


def test_a_report_of_three_sources_of_any_kind(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = write(tmp_path, "first", num_seeds=2)
    uri = f"sqlite:///{store}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    size = {"norms": BOTH, "batch_sizes": (4, 2), "num_epochs": 2}
    write_mlflow(make_sweep(num_seeds=3, **size), uri, tmp_path / "a")
    table = tmp_path / "table.csv"
    table.write_text("norm,batch_size,seed,test_error\nbatchnorm,4,0,6\nassocnorm,4,0,7\n")
    out = tmp_path / "out"
    result = run("report", first, "small", table, "--out", out)
    assert result.exit_code == 0, result.output
    text = (out / "report.md").read_text()
    assert text.startswith("# first + small + table\n")
    assert "Pooled, as their protocols are the same: first and small." in text
    errors = pd.read_csv(out / "tables" / "errors.csv")
    assert errors.groupby("comparison", dropna=False).size().tolist() == [4, 2]
    before = (out / "report.html").stat().st_mtime_ns
    assert run("report", first, "small", table, "--out", out).exit_code == 0
    assert (out / "report.html").stat().st_mtime_ns == before  # unchanged sources: kept
    assert run("report", first, "small", "--out", out).exit_code == 0
    assert (out / "report.html").stat().st_mtime_ns > before


def test_mistakes_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    first, _ = write(tmp_path, "first", num_seeds=1)
    second, _ = write(tmp_path, "second", num_seeds=1)
    for arguments, told in (
        (("report", first, tmp_path / "none.csv"), "no file"),
        (("report", first, first), "both name the sweep"),
        (("report", first, second, "--to-mlflow"), "--to-mlflow puts the report of one"),
        (("report", first, second, "--where", "train.epochs=9"), "no trial with train.epochs=9"),
        (("compare", first, second, first), f"norm-sweep report {first} {second} {first}"),
    ):
        result = run(*arguments, "--out", tmp_path / "out")
        assert result.exit_code == 2, arguments
        assert len(result.stderr.strip().splitlines()) == 1
        assert told in result.stderr
    assert not (tmp_path / "out").exists()


def test_results_and_paths_are_taken_together(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "first", num_seeds=1)
    _, second = write(tmp_path, "second", num_seeds=2)
    page, _ = write_report([path, second], tmp_path / "out")
    assert "first + second" in page.read_text()


def test_protocols_that_share_a_trial_both_keep_it(tmp_path: Path) -> None:
    _, first = write(tmp_path, "first", num_seeds=1)
    sweep = make_sweep(norms=BOTH, batch_sizes=(4, 2), num_epochs=2, num_seeds=1)
    sweep["sweep"] |= {"name": "second", "experiment": "second"}
    for record, trial in zip(sweep["records"].values(), sweep["sweep"]["trials"], strict=True):
        if trial["batch_size"] == 2:
            record["spec"]["train"]["weight_decay"] = 0.1
            record["trial_id"] += "x"
            trial["trial_id"] += "x"
    sweep["records"] = {record["trial_id"]: record for record in sweep["records"].values()}
    merged = merge_results([first, load_results(write_folder(sweep, tmp_path))])
    comparisons = build_comparisons(merged)
    assert len(comparisons) == 2
    assert all(len(item.trials) == 4 for item in comparisons)
    assert merged.trials["trial_id"].is_unique
    assert merged.settings.index.is_unique
    assert len(merged.epochs) == 16


def test_no_mapping_of_a_source_is_lost(tmp_path: Path) -> None:
    parts = [write(tmp_path, name, num_seeds=seeds)[1] for name, seeds in (("a", 1), ("b", 2))]
    names = [f.name for f in fields(Results) if f.default_factory is dict]
    assert "presets" in names
    filled = [
        replace(part, **{name: {f"key {i}": "1"} for name in names}) for i, part in enumerate(parts)
    ]
    merged = merge_results(filled)
    for name in names:
        assert set(getattr(merged, name)) == {"key 0", "key 1"}, name


def test_sweeps_on_little_data_are_reported_together(tmp_path: Path) -> None:
    text = "(small: 100 training images)"
    parts = []
    for name, seeds in (("first", 1), ("second", 2)):
        _, part = write(tmp_path, name, num_seeds=seeds)
        trials = part.trials.assign(edition=text)
        presets = {text: PresetInfo(is_small=True, detail="100 training images")}
        parts.append(replace(part, trials=trials, presets=presets))
    page, _ = write_report(parts, tmp_path / "out")
    assert "100 training images" in page.read_text()


def write_with_seeding(folder: Path, name: str, seeding: str | None, num_seeds: int) -> Results:
    sweep = make_sweep(norms=BOTH, batch_sizes=(4, 2), num_epochs=2, num_seeds=num_seeds)
    sweep["sweep"] |= {"name": name, "experiment": name}
    for record, trial in zip(sweep["records"].values(), sweep["sweep"]["trials"], strict=True):
        record["spec"] |= {"seeding": seeding} if seeding else {}
        record["trial_id"] += name
        trial["trial_id"] = record["trial_id"]
    for record in sweep["records"].values():
        record["spec"]["seed"] += 10 * len(name)
    for trial in sweep["sweep"]["trials"]:
        trial["seed"] += 10 * len(name)
    sweep["records"] = {record["trial_id"]: record for record in sweep["records"].values()}
    return load_results(write_folder(sweep, folder))


def test_streams_by_seed_are_one_protocol_whether_stated_or_not(tmp_path: Path) -> None:
    silent = write_with_seeding(tmp_path, "silent", None, 2)
    stated = write_with_seeding(tmp_path, "by seed", PER_SEED, 2)
    (found,) = build_comparisons(merge_results([silent, stated]))
    assert len(found.cells["batchnorm", 2].ended) == 4


def test_streams_by_seed_and_by_cell_are_not_pooled_and_the_report_says_so(tmp_path: Path) -> None:
    by_seed = write_with_seeding(tmp_path, "seed", None, 3)
    by_cell = write_with_seeding(tmp_path, "cells", PER_CELL, 3)
    merged = merge_results([by_seed, by_cell])
    assert {item.seeding for item in build_comparisons(merged)} == {PER_SEED, PER_CELL}
    assert "Not pooled: seed with cells; they differ in seeding." in merged.notes
