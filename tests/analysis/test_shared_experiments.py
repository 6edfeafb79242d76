"""Several sweeps, or several runs of one trial, in one MLflow experiment; and what is cached."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from pandas.testing import assert_frame_equal
from synthetic_sweep import make_sweep, write_mlflow
from typer.testing import CliRunner

from analysis.cli import app
from analysis.sources.load_results import load_results
from analysis.sources.mlflow_client import read_with_client
from analysis.sources.run_cache import get_cache_path as cache_place
from analysis.sources.source_digest import compute_source_digest
from analysis.sources.source_location import locate_source

SIZE = {"batch_sizes": (4, 2), "num_seeds": 1, "num_epochs": 2}


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def tag_runs(uri: str, tags: dict[str, str], query: str = "") -> None:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    for found in client.search_runs([experiment.experiment_id], query):
        for key, value in tags.items():
            client.set_tag(found.info.run_id, key, value)


@pytest.fixture
def uri(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with one sweep of two norms."""
    address = f"sqlite:///{store}"
    write_mlflow(make_sweep(norms=("batchnorm", "assocnorm"), **SIZE), address, tmp_path / "a")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return address


def test_sweeps_with_other_norms_are_one_comparison_that_says_so(uri: str, tmp_path: Path) -> None:
    tag_runs(uri, {"sweep.name": "later", "sweep.device": "cuda"}, "tags.norm = 'assocnorm'")
    assert run("report", "small", "--out", tmp_path / "out").exit_code == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "These trials come from different sweeps: later (2 trials) and small (2 trials)." in text
    assert "These trials come from different devices: cpu (2 trials) and cuda (2 trials)." in text
    assert (
        run("report", "small", "--where", "sweep=later", "--out", tmp_path / "later").exit_code == 0
    )
    assert "batchnorm" not in (tmp_path / "later" / "tables" / "errors.csv").read_text()


def copy_runs(store: Path, changes: dict[str, str]) -> None:
    """Every run once more, with these tags instead."""
    with sqlite3.connect(store) as db:
        for (old,) in db.execute("SELECT run_uuid FROM runs WHERE name != 'REPORT'").fetchall():
            for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
                names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
                kept = ", ".join("?" if name == "run_uuid" else name for name in names)
                db.execute(
                    f"INSERT INTO {table} SELECT {kept} FROM {table} WHERE run_uuid = ?",
                    (old[::-1], old),
                )
            for key, value in changes.items():
                db.execute(
                    "UPDATE tags SET value = ? WHERE key = ? AND run_uuid = ?",
                    (value, key, old[::-1]),
                )


def test_a_trial_that_two_sweeps_have_is_refused_until_one_is_chosen(
    uri: str, store: Path, tmp_path: Path
) -> None:
    copy_runs(store, {"sweep.name": "later"})
    refused = run("report", "small", "--out", tmp_path)
    assert refused.exit_code == 2
    assert "occurs 2 times" in refused.stderr
    assert "they differ in sweep; choose with --where sweep=small (or later)" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    direct, client = load_results("small", {"sweep": "later"}), read_with_client(uri, "small")
    assert direct.trials["num_epochs"].tolist() == [2] * 4
    assert len(client.rows) == 8


def test_two_runs_of_one_trial_are_refused_in_a_sentence(store: Path, uri: str) -> None:
    assert uri
    copy_runs(store, {})
    refused = run("report", "small")
    assert refused.exit_code == 2
    assert "keep one of them" in refused.stderr
    assert "of run " in refused.stderr


def test_curves_of_finished_runs_are_read_once(uri: str, store: Path) -> None:
    first = read_with_client(uri, "small")
    with sqlite3.connect(store) as db:
        db.execute("UPDATE metrics SET value = 1")
    again = read_with_client(uri, "small")
    assert_frame_equal(again.curves, first.curves)
    tag_runs(uri, {"sweep.record_digest": "another"}, "tags.norm = 'assocnorm'")
    changed = read_with_client(uri, "small")
    assert (changed.curves["test_error"] == 1).sum() == 4
    tag_runs(uri, {"sweep.outcome": "running"})
    assert (read_with_client(uri, "small").curves["test_error"] == 1).all()


def test_a_cache_that_is_damaged_or_forbidden_costs_time_alone(
    uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = read_with_client(uri, "small")
    cache_place().write_bytes(b"no database")
    assert_frame_equal(read_with_client(uri, "small").curves, first.curves)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert_frame_equal(read_with_client(uri, "small").curves, first.curves)


def test_a_server_s_fingerprint_changes_with_its_trials(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    server = replace(locate_source("small"), kind="server")
    before = compute_source_digest(server, ())
    assert before is not None
    assert compute_source_digest(server, ()) == before
    tag_runs(uri, {"sweep.kind": "report"}, "attributes.run_name = 'REPORT'")
    assert compute_source_digest(server, ()) == before
    tag_runs(uri, {"sweep.record_digest": "another"}, "tags.norm = 'assocnorm'")
    assert compute_source_digest(server, ()) != before
