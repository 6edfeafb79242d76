from __future__ import annotations

import dataclasses
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_grids import load, metrics, record_of

from sweep.records.record import Record, RecordDamagedError, SweepFolder, TrialFolder, parse_record
from sweep.records.storage import Storage
from trainables.spec import (
    DataSpec,
    EpochMetrics,
    ModelSpec,
    NormSpec,
    Outcome,
    TrainSpec,
    TrialSpec,
    spec_to_dict,
)

FLOATS = [f.name for f in dataclasses.fields(EpochMetrics) if f.type == "float"]


SPEC = TrialSpec(
    norm=NormSpec(name="batchnorm"),
    batch_size=8,
    seed=0,
    data=DataSpec(name="digits"),
    model=ModelSpec(name="resnet8"),
    train=TrainSpec(epochs=3),
)


@pytest.fixture
def folder() -> TrialFolder:
    return SweepFolder(Storage.at("runs")).trial(load().trials[0].trial_id)


def record(epochs: int = 2, outcome: Outcome | None = None) -> Record:
    return record_of(load().trials[0], epochs, outcome)


def record_epochs(*numbers: int, **changes: Any) -> list[dict[str, Any]]:
    return [{"timestamp_ms": 1, **metrics(number).values(), **changes} for number in numbers]


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@given(values=st.fixed_dictionaries({name: st.floats() for name in FLOATS}))
def test_floats_come_back_to_the_bit_and_what_is_not_finite_as_null(
    values: dict[str, float],
) -> None:
    before = Record.of(SPEC)
    before.add_epoch(metrics(1, **values))
    (epoch,) = parse_record(before.to_json(), "here").epochs
    for name, value in values.items():
        if math.isfinite(value):
            assert bits(getattr(epoch.metrics, name)) == bits(value)
        else:
            assert epoch.values[name] is None
    json.loads(before.to_json(), parse_constant=pytest.fail)


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_a_record_comes_back_equal(outcome: Outcome | None, folder: TrialFolder) -> None:
    before = record(3, outcome)
    assert folder.load() is None
    folder.save(before)
    after = folder.load()
    assert after == before
    assert after is not None
    assert after.outcome is outcome
    assert after.train_s == pytest.approx(3 * 0.75)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"epochs": []}, "it is completed, but has 0 of 3 epochs"),
        ({"epochs": record_epochs(1, 2, 2)}, r"its epochs are \[1, 2, 2\]"),
        ({"epochs": record_epochs(1, 2, 3, test_error="12")}, "test_error of epoch 1 is '12'"),
        ({"spec": spec_to_dict(dataclasses.replace(SPEC, seed=7))}, "its spec is that of trial"),
        ({"attempts": None}, "expected a list of attempts, found None"),
        ({"attempts": [{"id": "a"}]}, "started is missing"),
        ({"epochs": [3]}, "expected an epoch with its number, found 3"),
        ({"provenance": None}, "expected a JSON object, found None"),
    ],
)
def test_what_no_attempt_writes_is_no_record(changes: dict[str, Any], why: str) -> None:
    whole = {**json.loads(Record.of(SPEC).to_json()), "epochs": record_epochs(1, 2, 3)}
    content = {**whole, "outcome": "completed"}
    assert parse_record(json.dumps(content).encode(), "here").outcome is Outcome.COMPLETED
    with pytest.raises(RecordDamagedError, match=why):
        parse_record(json.dumps({**content, **changes}).encode(), "here")


def test_the_record_of_another_trial_is_not_taken_for_this_ones(folder: TrialFolder) -> None:
    folder.save(Record.of(SPEC))
    with pytest.raises(RecordDamagedError, match=f"the record of trial {SPEC.trial_id}, not of"):
        folder.load()


def test_a_folder_in_the_place_of_a_record(folder: TrialFolder) -> None:
    Path(folder.storage.uri, "record.json").mkdir(parents=True)
    with pytest.raises(RecordDamagedError, match="not a record, but a folder"):
        folder.load()


def test_the_file_holds_what_its_readers_expect() -> None:
    data = json.loads(record(1, Outcome.DIVERGED).to_json())
    assert (data["record_version"], data["spec_version"], data["outcome"]) == (1, 1, "diverged")
    assert data["trial_id"] == load().trials[0].trial_id
    assert data["spec"]["norm"]["name"] == "batchnorm"
    metrics_of_every_trial = {f.name for f in dataclasses.fields(EpochMetrics)} - {"extra"}
    assert set(data["epochs"][0]) == {"timestamp_ms", *metrics_of_every_trial}


def test_metrics_that_a_trial_asked_for_stand_beside_the_others() -> None:
    before = Record.of(SPEC)
    before.add_epoch(metrics(1, extra={"test_error_batch": 12.5, "gradient_norm": math.inf}))
    (epoch,) = parse_record(before.to_json(), "here").epochs
    assert (epoch.values["test_error_batch"], epoch.values["gradient_norm"]) == (12.5, None)
    assert epoch.test_error == 60.0
    assert "extra" not in epoch.to_json()


def test_an_epoch_trained_again_keeps_its_first_timestamp_and_times() -> None:
    before = record(4)
    before.epochs = [
        dataclasses.replace(stamped, timestamp_ms=1000 + i)
        for i, stamped in enumerate(before.epochs)
    ]
    before.add_epoch(metrics(2, train_s=9.0, train_loss=0.125))
    before.add_epoch(metrics(3, train_s=9.0))
    assert [epoch.timestamp_ms for epoch in before.epochs] == [1000, 1001, 1002, 1003]
    assert [epoch.metrics.train_s for epoch in before.epochs] == [0.5, 0.5, 0.5, 0.5]
    assert before.epochs[1].metrics.train_loss == 0.125
    before.add_epoch(metrics(5))
    assert [epoch.epoch for epoch in before.epochs] == [1, 2, 3, 4, 5]
    assert before.epochs[4].timestamp_ms > 1_600_000_000_000


def damaged(**changes: Any) -> bytes:
    return json.dumps({**json.loads(record().to_json()), **changes}).encode()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"", "not a record"),
        (lambda: record().to_json()[:-20], "not a record"),
        (lambda: b"\x80" + record().to_json(), "not a record"),
        (lambda: b"[]", "not a record"),
        (lambda: b"{}", "not a record"),
        (lambda: b'{"record_version": 1}', "not a record"),
        (lambda: damaged(outcome="won"), "not a record: 'won' is not a valid Outcome"),
        (lambda: damaged(surprise=1), "not a record: unknown field 'surprise'; "),
        (lambda: damaged(record_version="1"), "not a record"),
        (lambda: damaged(spec_version="1"), "not a record"),
        (lambda: damaged(spec_version=99), "has spec_version 99, but this program knows"),
        (
            lambda: damaged(record_version=2, surprise=1),
            "has record_version 2, but this program knows versions up to 1; update the program",
        ),
    ],
)
def test_a_damaged_record_is_one_clear_line(make: Any, reason: str, folder: TrialFolder) -> None:
    folder.storage.write("record.json", make())
    with pytest.raises(RecordDamagedError) as caught:
        folder.load()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{folder.storage.uri}/record.json: {reason}")


@given(length=st.integers(0))
def test_no_truncation_reads_as_a_record(length: int) -> None:
    whole = Record(trial_id="0123456789ab", spec={"a": [1, 2]}).to_json().rstrip()
    with pytest.raises(RecordDamagedError):
        parse_record(whole[: length % len(whole)], "here")


def contents(folder: TrialFolder, up_to: int) -> list[bytes]:
    return [content for _, content in folder.checkpoints(up_to=up_to)]


def test_the_last_checkpoints_are_kept_and_come_newest_first(folder: TrialFolder) -> None:
    for epoch in (8, 9, 10, 11):
        folder.save_checkpoint(epoch, 0, b"state %d" % epoch)
    assert contents(folder, up_to=11) == [b"state 11", b"state 10"]
    # Of epoch 11 the record knows nothing: its commit was cut off.
    assert contents(folder, up_to=10) == [b"state 10"]


def test_checkpoints_within_an_epoch_follow_the_one_at_its_beginning(folder: TrialFolder) -> None:
    for steps in (0, 900, 10_000):
        folder.save_checkpoint(9, steps, b"state 9 + %d" % steps)
    assert contents(folder, up_to=9) == [b"state 9 + 10000", b"state 9 + 900"]
    assert contents(folder, up_to=8) == []
    folder.save_checkpoint(10, 0, b"state 10")
    assert contents(folder, up_to=10) == [b"state 10", b"state 9 + 10000"]
    assert contents(folder, up_to=9) == [b"state 9 + 10000"]


def test_a_checkpoint_replaces_newer_ones_that_were_damaged(folder: TrialFolder) -> None:
    for epoch in (8, 9):
        folder.save_checkpoint(epoch, 300, b"damaged")
    folder.save_checkpoint(1, 0, b"state 1")
    folder.save_checkpoint(1, 7, b"state 1 + 7")
    assert contents(folder, up_to=9) == [b"state 1 + 7", b"state 1"]


def test_a_sweep_loads_the_records_that_there_are() -> None:
    trials = load().trials
    sweep = SweepFolder(Storage.at("runs/small"))
    assert sweep.load([trial.trial_id for trial in trials]) == {}
    begun = {trial.trial_id: record_of(trial, 1) for trial in trials[:3]}
    for trial_id, some in begun.items():
        sweep.trial(trial_id).save(some)
    sweep.trial(trials[3].trial_id).save_traceback("no record yet")
    assert sweep.load([trial.trial_id for trial in trials]) == begun
    only = trials[1].trial_id
    assert sweep.load([only]) == {only: begun[only]}
    file = Path("runs/small/trials") / trials[3].trial_id / "traceback.txt"
    assert file.read_text() == "no record yet"
