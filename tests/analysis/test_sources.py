"""Records, MLflow and CSV give the same frames, and each refusal says what to do."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from synthetic_sweep import diverge, make_sweep, record_statistics, write_folder, write_mlflow

from analysis import InputError, load
from analysis.schema import EPOCH_COLUMNS, EXPECTED_COLUMNS, TRIAL_COLUMNS, score_trials
from analysis.sources.mlflow_client import read_with_client
from analysis.sources.mlflow_sqlite import read_sqlite


@pytest.fixture(scope="module")
def ragged() -> dict[str, Any]:
    """A sweep with a diverged, a failed, two running and some missing trials."""
    sweep = make_sweep(num_seeds=2, batch_sizes=(16, 2), num_epochs=3)
    record_statistics(sweep, "assocnorm", {"ema": 0.0, "batch": -0.2})
    records = list(sweep["records"].values())
    diverge(records[0], 2)
    records[1]["outcome"] = "failed"
    records[2]["edition"] = "small edition: digits for cifar10 (all)"
    records[3]["edition"] = "small"
    for record in records[5:7]:
        record["outcome"] = None
        record["epochs"] = record["epochs"][:1]
    for record in records[9:]:
        del sweep["records"][record["trial_id"]]
    return sweep


@pytest.fixture(scope="module")
def places(
    ragged: dict[str, Any], empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The ragged sweep's folder and its MLflow database."""
    root = tmp_path_factory.mktemp("sweeps")
    database = Path(shutil.copy(empty_store, root / "tracking.db"))
    write_mlflow(ragged, f"sqlite:///{database}", root / "artifacts")
    return write_folder(ragged, root / "runs"), database


def test_records_and_mlflow_give_the_same_frames(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, database = places
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    records, tracked = load(folder), load("small")
    for name in ("trials", "epochs", "expected", "settings"):
        assert_frame_equal(getattr(records, name), getattr(tracked, name), obj=name)
    assert records.reference == tracked.reference == "groupnorm(num_groups=8)"
    assert records.name == tracked.name == "small"
    stated = "(small edition: digits for cifar10 (all))"
    assert set(records.trials["edition"]) == {"", stated}
    assert records.packages == tracked.packages
    assert records.packages == {"numpy": "2.4.0", "python": "3.11.7", "torch": "2.11.0"}
    assert records.trials["started"].unique().tolist() == ["2026-01-02T03:04:05+00:00"]
    assert sorted(records.trials["ended"].unique()) == ["", "2026-01-02T04:05:06+00:00"]
    assert len(records.trials) == 9
    assert len(records.expected) == 12


def test_the_direct_reading_of_sqlite_is_what_the_client_reads(places: tuple[Path, Path]) -> None:
    direct = read_sqlite(places[1], "small")
    client = read_with_client(f"sqlite:///{places[1]}", "small")
    assert direct is not None
    key = ["trial_id", "epoch"]
    assert_frame_equal(
        direct.curves.sort_values(key, ignore_index=True),
        client.curves.sort_values(key, ignore_index=True),
    )
    by_id = {row["trial_id"]: row for row in direct.rows}
    assert by_id == {row["trial_id"]: row for row in client.rows}
    assert (direct.expected, direct.settings, direct.reference) == (
        client.expected,
        client.settings,
        client.reference,
    )


def test_a_database_of_another_shape_is_left_to_the_client(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as database:
        database.execute("CREATE TABLE experiments (title TEXT)")
    assert read_sqlite(tmp_path / "other.db", "small") is None


def test_of_several_rows_for_one_step_the_newest_counts(store: Path, tmp_path: Path) -> None:
    sweep = make_sweep(norms=("batchnorm",), batch_sizes=(2,), num_seeds=1, num_epochs=2)
    write_mlflow(sweep, f"sqlite:///{store}", tmp_path / "artifacts")
    with sqlite3.connect(store) as connection:
        connection.execute(
            "INSERT INTO metrics SELECT key, 77.0, timestamp + 5, run_uuid, step, is_nan "
            "FROM metrics WHERE key = 'test_error' AND step = 2"
        )
        connection.execute(
            "INSERT INTO metrics SELECT key, 55.0, timestamp - 5, run_uuid, step, is_nan "
            "FROM metrics WHERE key = 'test_error' AND value = 77.0"
        )
    for found in (
        read_sqlite(store, "small"),
        read_with_client(f"sqlite:///{store}", "small"),
    ):
        assert found is not None
        assert found.curves["test_error"].iloc[-1] == 77.0


def test_frames_have_the_documented_columns_and_scores(places: tuple[Path, Path]) -> None:
    trials = load(places[0])
    on_request = ["test_error_ema", "test_error_batch"]
    assert list(trials.trials) == [column.name for column in TRIAL_COLUMNS] + on_request
    assert list(trials.epochs) == [column.name for column in EPOCH_COLUMNS] + on_request
    assert list(trials.expected) == [column.name for column in EXPECTED_COLUMNS]
    outcomes = trials.trials["outcome"].value_counts().to_dict()
    assert outcomes == {"completed": 5, "running": 2, "diverged": 1, "failed": 1}
    ended = score_trials(trials.trials)
    assert len(ended) == 6
    assert ended.loc[ended["diverged"], "error"].tolist() == [90.0]
    diverged = trials.trials[trials.trials["outcome"] == "diverged"].iloc[0]
    assert pd.isna(diverged["test_error"])
    assert diverged["num_epochs"] == 2
    assert diverged["train_s"] == 3.0


def test_what_was_recorded_on_request_is_there_for_those_who_recorded_it(
    places: tuple[Path, Path], ragged: dict[str, Any]
) -> None:
    trials = load(places[0]).trials.set_index("trial_id")
    for trial_id, found in trials["test_error_batch"].items():
        last = ragged["records"][trial_id]["epochs"][-1]
        assert found == pytest.approx(last.get("test_error_batch", np.nan), nan_ok=True)
    assert trials["test_error_batch"].notna().sum() == 2
    assert (trials.loc[trials["test_error_batch"].notna(), "norm"] == "assocnorm").all()


def test_a_csv_of_the_frame_gives_it_back(places: tuple[Path, Path], tmp_path: Path) -> None:
    before = load(places[0]).trials
    before.to_csv(tmp_path / "results.csv", index=False)
    assert_frame_equal(load(tmp_path / "results.csv").trials, before)


def test_a_small_csv_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(
        "norm, batch_size, seed, test_error, colour\na, 4, 0, 9.5, red\nb, 2, 0, 8.5, blue\n"
    )
    trials = load(path)
    assert trials.trials["outcome"].tolist() == ["completed", "completed"]
    assert (len(trials.expected), trials.has_grid) == (2, False)
    assert trials.notes == ("Columns not read: colour.",)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffnorm,batch_size,seed,test_error\na,4,0,9.5\nb,4,0,8.25\n",
        "norm;batch_size;seed;test_error\na;4;0;9,5\nb;4;0;8,25\n",
        "norm\tbatch_size\tseed\ttest_error\r\na\t4\t0\t9.5\r\nb\t4\t0\t8.25\r\n",
    ],
)
def test_a_csv_may_come_from_a_spreadsheet(content: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content.encode())
    assert load(path).trials["test_error"].tolist() == [9.5, 8.25]
    path.write_bytes(b"norm,batch_size,seed,test_error\n\xfcber,4,0,9.5\n")
    with pytest.raises(InputError, match="is not UTF-8"):
        load(path)


def test_small_errors_are_percent_where_the_error_of_guessing_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mnist.csv"
    path.write_text("norm,batch_size,seed,test_error,chance_error\na,4,0,0.4,90\n")
    assert load(path).trials["test_error"].tolist() == [0.4]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "norm,batch_size\na,4\n",
            ["lacks the columns seed, test_error", "it has norm, batch_size"],
        ),
        ("norm,batch_size,seed,test_error\n", ["no rows"]),
        (
            "norm,batch_size,seed,test_error\na,4,0,9\nb,4,0,\n",
            ["row 2", "norm='b'", "outcome=diverged and chance_error"],
        ),
        ("norm,batch_size,seed,test_error\na,four,0,9\n", ["`batch_size`", "row 1", "'four'"]),
        ("norm,batch_size,seed,test_error\na,4,0.5,9\n", ["`seed`", "whole numbers", "0.5"]),
        ("norm,batch_size,seed,test_error\na,4,0,109\n", ["0 <= test_error <= 100", "109"]),
        ("norm,batch_size,seed,test_error\na,0,0,9\n", ["`batch_size >= 1` must hold"]),
        ("norm,batch_size,seed,test_error\n,4,0,9\n", ["row 1 has no `norm`"]),
        ("norm,batch_size,seed,test_error\na,,0,9\n", ["row 1 has no `batch_size`"]),
        ("norm,batch_size,seed,test_error\na,4,0,9\na,4,0,8\n", ["occurs 2 times", "row-1, row-2"]),
        ("norm,batch_size,seed,test_error,outcome\na,4,0,9,ok\n", ["`outcome` must be one of"]),
        ("norm,batch_size,seed,test_error,outcome\na,4,0,,diverged\n", ["needs `chance_error`"]),
        ("", ["cannot be read as a CSV"]),
        (
            "norm,batch_size,seed,test_error\na,4,0,0.07\n",
            ["may be fractions", "by 100"],
        ),
        ("norm,batch_size,seed,test_error\na,4,0,7 %\n", ["`test_error`", "row 1", "'7 %'"]),
        ("a" * 10, ["lacks the columns norm"]),
    ],
)
def test_an_ugly_csv_is_refused_in_one_line(content: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "ugly.csv"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_an_unknown_experiment_names_the_nearest(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{places[1]}")
    with pytest.raises(InputError, match="did you mean 'small'"):
        load("smal")
    with pytest.raises(InputError, match="It has: small"):
        load("zzz")


def test_no_database_is_made_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no MLflow database mlflow\.db"):
        load("small")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(InputError, match="cannot be read") as caught:
            load("small")
    assert "\n" not in str(caught.value)


def test_records_the_grid_no_longer_asks_for_are_left_out_with_a_note(
    places: tuple[Path, Path], ragged: dict[str, Any], tmp_path: Path
) -> None:
    shorter = {**ragged["sweep"], "trials": ragged["sweep"]["trials"][2:]}
    folder = write_folder({"sweep": shorter, "records": ragged["records"]}, tmp_path)
    trials = load(folder)
    assert len(trials.trials) == 7
    assert trials.notes == ("2 trials are left out: their sweep's grid no longer asks for them.",)


def test_runs_the_grid_no_longer_asks_for_are_left_out_too(
    ragged: dict[str, Any], store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [t for t in ragged["sweep"]["trials"] if t["norm"] != "assocnorm"]
    uri = f"sqlite:///{store}"
    write_mlflow(ragged, uri, tmp_path / "artifacts", asked)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    trials = load("small")
    assert sorted(set(trials.trials["norm"])) == ["batchnorm", "groupnorm(num_groups=8)"]
    assert "2 trials are left out" in trials.notes[0]


def test_a_damaged_record_is_named(ragged: dict[str, Any], tmp_path: Path) -> None:
    folder = write_folder(ragged, tmp_path)
    broken = next((folder / "trials").glob("*/record.json"))
    broken.write_text(json.dumps(json.loads(broken.read_text()))[:50])
    with pytest.raises(InputError, match=f"{broken.parent.name}.record.json cannot be read"):
        load(folder)
