from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow_store import Query
from small_grids import FACTORS, change_epoch, factors, load, metrics, record_of, save

from sweep.grid.model import Grid
from sweep.records.flat_params import flatten_params
from sweep.records.provenance import Provenance
from sweep.records.record import Record, parse_record
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.tracker import METRICS_PER_CALL, Tracker
from trainables.spec import Outcome

METRICS_PER_EPOCH = 9


def num(query: Query, table: str) -> int:
    (row,) = query(f"select count(*) from {table}")
    return int(row[0])


def tags(query: Query) -> dict[str, str]:
    assert num(query, "runs") == 1
    return dict(query("select key, value from tags"))


def status(query: Query) -> str:
    (row,) = query("select status from runs")
    return str(row[0])


def only(outcome: Outcome | None, epochs: int = 3) -> tuple[Grid, Record]:
    grid = load(**factors(norm=["groupnorm"], batch_size=[8], seed=1))
    return grid, record_of(grid.trials[0], epochs, outcome)


def test_which_examples_were_right_is_an_artifact(tmp_path: Path) -> None:
    grid, record = only(Outcome.COMPLETED)
    plan = save(grid, record)
    plan.folder.trial(record.trial_id).save_correct(b"bits")
    Tracker(grid).export([record])
    (file,) = tmp_path.glob("mlruns/**/correct.npy")
    assert file.read_bytes() == b"bits"


def test_a_small_preset_is_tagged_and_another_run_is_not(query: Query) -> None:
    grid, record = only(Outcome.COMPLETED)
    Tracker(grid).export([record])
    assert "sweep.edition" not in tags(query)
    record.edition = "small"
    record.weights_digest = "0123456789abcdef"
    Tracker(grid).export([record])
    assert tags(query)["sweep.edition"] == "small"
    assert tags(query)["sweep.weights_digest"] == "0123456789abcdef"


def test_a_run_says_what_its_record_says(query: Query, tmp_path: Path) -> None:
    grid, record = only(Outcome.COMPLETED)
    assert Tracker(grid).export([record]) == 1
    (run,) = query("select name, status, start_time, end_time, artifact_uri from runs")
    assert run[:4] == ("groupnorm-bs008-s0", "FINISHED", 1714557600000, 1714557630000)
    params: dict[str, Any] = dict(query("select key, value from params"))
    assert params["norm"] == "groupnorm"
    assert (params["norm.num_groups"], params["batch_size"], params["seed"]) == ("32", "8", "0")
    assert (params["train.optimizer.lr"], params["data.num_train"]) == ("0.02", "64")
    assert params["train.schedule.milestones"] == "[]"
    found = tags(query)
    assert found["norm"] == "groupnorm"
    assert found["sweep.trial_id"] == record.trial_id
    assert (found["sweep.outcome"], found["sweep.name"]) == ("completed", "small")
    assert (found["sweep.chance_error"], found["sweep.num_test"]) == ("90.0", "32")
    rows = query("select key, value, step, timestamp from metrics")
    expected = {
        (name, value, epoch.epoch, epoch.timestamp_ms)
        for epoch in record.epochs
        for name, value in epoch.values.items()
        if name != "epoch"
    }
    assert set(rows) == expected
    assert len(rows) == len(expected) == 3 * METRICS_PER_EPOCH
    latest: dict[str, Any] = dict(query("select key, value from latest_metrics"))
    assert latest["test_error"] == record.last_test_error
    artifact = Path(str(run[4]).removeprefix("file://")) / "record.json"
    assert artifact.is_relative_to(tmp_path)
    assert parse_record(artifact.read_bytes(), "artifact") == record


def test_shipping_again_adds_nothing(query: Query) -> None:
    grid, record = only(Outcome.COMPLETED)
    tracker = Tracker(grid)
    tables = ("runs", "metrics", "params", "tags", "experiments")
    tracker.export([record])
    before = [num(query, table) for table in tables]
    assert tracker.export([record]) == 0
    assert Tracker(grid).export([record]) == 0
    # As if the digest had not arrived: everything is sent again, and nothing is added.
    assert len(query("delete from tags where key = 'sweep.record_digest' returning key")) == 1
    assert Tracker(grid).export([record]) == 1
    assert [num(query, table) for table in tables] == before


def test_a_growing_record_adds_its_new_epochs_only(
    query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, record = only(None, epochs=1)
    tracker = Tracker(grid)
    tracker.export([record])
    assert (status(query), tags(query)["sweep.outcome"]) == ("RUNNING", "running")
    sent: list[int] = []
    log_batch = tracker.client.log_batch

    def counted(run_id: str, **content: Any) -> None:
        sent.extend(metric.step for metric in content.get("metrics", ()))
        log_batch(run_id, **content)

    monkeypatch.setattr(tracker.client, "log_batch", counted)
    record.add_epoch(metrics(2))
    assert tracker.export([record]) == 1
    assert sent == [2] * METRICS_PER_EPOCH
    assert num(query, "metrics") == 2 * METRICS_PER_EPOCH


@pytest.mark.parametrize("call", ["log_batch", "log_text", "set_terminated", "set_tag"])
def test_what_was_cut_off_half_way_is_completed(
    call: str, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, record = only(Outcome.COMPLETED)
    whole = {
        "runs": 1,
        "metrics": 3 * METRICS_PER_EPOCH,
        "params": len(dict(flatten_params(record.spec))),
    }

    def cut_off(*_: Any, **__: Any) -> None:
        raise ConnectionError

    tracker = Tracker(grid)
    with monkeypatch.context() as patch:
        patch.setattr(tracker.client, call, cut_off)
        with pytest.raises(ConnectionError):
            tracker.export([record])
    assert num(query, "runs") == 1
    assert Tracker(grid).export([record]) == 1
    assert {table: num(query, table) for table in whole} == whole
    assert (status(query), tags(query)["sweep.outcome"]) == ("FINISHED", "completed")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.COMPLETED, "FINISHED"),
        (Outcome.DIVERGED, "FINISHED"),
        (Outcome.OUT_OF_MEMORY, "FAILED"),
        (Outcome.FAILED, "FAILED"),
    ],
)
def test_status_and_outcome(outcome: Outcome, expected: str, query: Query) -> None:
    grid, record = only(outcome)
    Tracker(grid).export([record])
    assert status(query) == expected
    found = tags(query)
    assert found["sweep.outcome"] == outcome.value
    assert found.get("sweep.error") == ("RuntimeError: a bug" if expected == "FAILED" else None)


def test_a_trial_that_diverged_at_once_has_a_run_without_metrics(query: Query) -> None:
    grid, record = only(Outcome.DIVERGED, epochs=0)
    Tracker(grid).export([record])
    assert (status(query), num(query, "metrics")) == ("FINISHED", 0)
    assert tags(query)["sweep.outcome"] == "diverged"


def test_a_trial_whose_model_was_never_built(query: Query) -> None:
    grid, record = only(Outcome.FAILED, epochs=0)
    record.attempts, record.provenance = [], Provenance()
    record.num_classes = record.chance_error = record.num_train = record.num_test = None
    Tracker(grid).export([record])
    assert status(query) == "FAILED"
    assert "sweep.chance_error" not in tags(query)


def test_only_finite_values_are_metrics(query: Query) -> None:
    grid, record = only(Outcome.COMPLETED, epochs=0)
    record.add_epoch(metrics(1, train_loss=float("nan"), test_loss=float("inf")))
    change_epoch(record, 1, lr=float("nan"))
    Tracker(grid).export([record])
    names = {name for (name,) in query("select key from metrics")}
    assert not names & {"train_loss", "test_loss", "lr"}
    assert len(names) == METRICS_PER_EPOCH - 3
    assert query("select * from metrics where is_nan or abs(value) > 1e300") == []


def test_what_ended_without_an_outcome_was_killed_and_runs_again_when_it_goes_on(
    query: Query,
) -> None:
    grid, record = only(None, epochs=1)
    tracker = Tracker(grid)
    tracker.export([record])
    assert status(query) == "RUNNING"
    tracker.export([record], ended=True)
    assert status(query) == "KILLED"
    assert Tracker(grid).export([record], ended=True) == 0

    again = Tracker(grid)
    record.attempts.append(replace(record.attempts[0], from_epoch=1))
    again.export([record])
    assert (status(query), tags(query)["sweep.attempts"]) == ("RUNNING", "2")
    for epoch in (2, 3):
        record.add_epoch(metrics(epoch))
    record.outcome = Outcome.COMPLETED
    again.export([record])
    assert (status(query), num(query, "metrics")) == ("FINISHED", 3 * METRICS_PER_EPOCH)


def test_a_retry_that_went_well_leaves_no_error_behind(query: Query) -> None:
    grid, record = only(Outcome.FAILED)
    Tracker(grid).export([record])
    assert "sweep.error" in tags(query)
    record.outcome, record.error = Outcome.COMPLETED, None
    Tracker(grid).export([record])
    assert status(query) == "FINISHED"
    assert "sweep.error" not in tags(query)


def test_more_metrics_than_a_call_may_carry(query: Query) -> None:
    grid, record = only(Outcome.COMPLETED, epochs=150)
    assert 150 * METRICS_PER_EPOCH > METRICS_PER_CALL
    Tracker(grid).export([record])
    assert num(query, "metrics") == 150 * METRICS_PER_EPOCH


def test_runs_are_called_by_their_norms_label(query: Query) -> None:
    norms = ["groupnorm", {"name": "groupnorm", "num_groups": 8}]
    grid = load(**factors(norm=norms, batch_size=[8], seed=1), reference="groupnorm")
    Tracker(grid).export(record_of(trial, 1, Outcome.COMPLETED) for trial in grid.trials)
    found = query("select name, value from runs join tags using (run_uuid) where key = 'norm'")
    assert sorted(found) == [
        ("groupnorm(num_groups=8)-bs008-s0", "groupnorm(num_groups=8)"),
        ("groupnorm-bs008-s0", "groupnorm"),
    ]
    experiment: dict[str, Any] = dict(query("select key, value from experiment_tags"))
    assert experiment["sweep.reference.small"] == "groupnorm"
    assert experiment["sweep.expected.small"] == (
        '[{"norm":"groupnorm","variant":"","batch_sizes":[8],"seeds":[0]},'
        '{"norm":"groupnorm(num_groups=8)","variant":"","batch_sizes":[8],"seeds":[0]}]'
    )


def test_sweeps_may_share_an_experiment_and_strangers_are_let_be(query: Query) -> None:
    grid = load(tracking={"experiment": "shared, 'quoted'"})
    other = load(name="other", tracking={"experiment": "shared, 'quoted'"})
    tracker = Tracker(grid)
    record = record_of(grid.trials[0], 1, Outcome.COMPLETED)
    assert tracker.export([record]) == 1
    assert Tracker(other).export([record]) == 1
    stranger = load(factors={**FACTORS, "norm": ["layernorm"]}).trials[0]
    assert tracker.export([record_of(stranger, 1)]) == 0
    assert num(query, "runs") == 2
    assert num(query, "experiments") == 2  # and MLflow's own


def test_the_command_that_shows_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("bin").mkdir()
    Path("bin/mlflow").write_text("#!/bin/sh\n")
    Path("bin/mlflow").chmod(0o755)
    monkeypatch.setenv("PATH", str(Path("bin").absolute()))
    here = ExperimentLink("7", "sqlite:///mlflow.db")
    assert (here.command, here.link) == ("mlflow ui", "http://127.0.0.1:5000/#/experiments/7/runs")
    assert ExperimentLink("7", f"sqlite:///{Path.cwd()}/mlflow.db").command == "mlflow ui"
    elsewhere = ExperimentLink("7", "sqlite:////data/mlflow.db")
    assert elsewhere.command == "mlflow ui --backend-store-uri sqlite:////data/mlflow.db"
    server = ExperimentLink("7", "http://tracking:5000/")
    assert (server.command, server.link) == (None, "http://tracking:5000/#/experiments/7/runs")
    monkeypatch.setenv("PATH", "")
    assert here.command == f"{Path(sys.executable).parent / 'mlflow'} ui"
