"""Attempts that are stopped, replaced, or lose their storage."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_assignments import assignment, folder_of, step, train, without_times

from sweep.execution.assignment import Assignment
from sweep.execution.attempt import Attempt
from sweep.execution.trial_writer import SupersededError
from sweep.records.lease import LEASE_FILE, Holder, hold_lease
from sweep.records.record import SweepFolder
from sweep.records.storage import Storage
from trainables import CheckpointTooNew, Trial
from trainables.spec import Outcome


def a_step_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.epoch.FIRST_CHUNK_STEPS", 1)
    monkeypatch.setattr("trainables.epoch.CHUNK_S", 1e-9)
    monkeypatch.setattr("sweep.execution.attempt.ORDER_CHECK_S", 0.0)


def after(num_calls: int, do: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have something happen after so many stretches."""
    advance, calls = Trial.advance, itertools.count(1)

    def counted(trial: Trial) -> Any:
        result = advance(trial)
        if next(calls) == num_calls:
            do()
        return result

    monkeypatch.setattr(Trial, "advance", counted)


def test_a_trial_of_a_cell_that_is_stopped_does_not_begin_and_others_do() -> None:
    given = assignment()
    with hold_lease(SweepFolder(Storage.at("runs"))) as reign:
        mine = replace(given, sweep_uri=reign.folder.storage.uri, driver=reign.token)
        reign.stop_cells(["groupnorm-bs002"])
        reign.renew()
        stopped = Attempt(replace(mine, cell="groupnorm-bs002"))
        step(stopped)
        assert (stopped.stopped_for, stopped.trial) == ("interrupted", None)
        assert stopped.folder.load() is None
        other = Attempt(replace(mine, cell="groupnorm-bs016"))
        step(other)
        assert len(other.record.epochs) == 1


def test_a_trial_told_to_stop_is_put_aside_within_its_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, cut = assignment("runs/whole"), assignment("runs/cut")
    at_once = train(whole)
    a_step_at_a_time(monkeypatch)
    with hold_lease(SweepFolder(Storage.at("runs/cut"))) as reign, monkeypatch.context() as patch:

        def stop() -> None:
            reign.stop()
            reign.renew()

        after(2, stop, patch)
        attempt = Attempt(replace(cut, driver=reign.token))
        step(attempt)
        assert (attempt.stopped_for, attempt.record.outcome) == ("interrupted", None)
        # One that comes to a worker now does not begin.
        late = Attempt(replace(cut, driver=reign.token))
        step(late)
        assert (late.is_done, late.trial) == (True, None)
    before = folder_of(cut).load()
    assert before is not None
    (entry,) = before.attempts
    assert entry.ended is not None
    assert entry.stopped_for == "interrupted"
    resumed = train(cut)
    assert (resumed.attempts[1].from_epoch, resumed.attempts[1].from_step) == (0, 2)
    assert without_times(resumed) == without_times(at_once)
    assert resumed.weights_digest == at_once.weights_digest


def test_checkpoints_within_an_epoch_survive_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = assignment("runs/whole"), assignment("runs/cut", checkpoint_every_s=1e-9)
    at_once = train(whole)
    a_step_at_a_time(monkeypatch)
    with monkeypatch.context() as patch:

        def kill() -> None:
            raise KeyboardInterrupt

        after(3, kill, patch)
        with pytest.raises(KeyboardInterrupt):
            step(Attempt(cut))
    names = [name for name, _ in folder_of(cut).checkpoints(up_to=0)]
    assert names == ["checkpoint-000000-step-00000002.pt", "checkpoint-000000-step-00000001.pt"]
    folder_of(cut).storage.write(names[0], b"norm-sweep checkpoint 2\n, torn")
    attempt = Attempt(cut)
    while not attempt.is_done:
        step(attempt)
    assert attempt.record.attempts[1].from_step == 1
    (notice,) = attempt.notices
    assert f"{names[0]}: damaged; the trial goes on from epoch 0" in notice
    assert without_times(attempt.record) == without_times(at_once)
    assert attempt.record.weights_digest == at_once.weights_digest


def test_a_checkpoint_of_a_newer_version_is_refused_and_kept() -> None:
    given = assignment()
    train(given, steps=1)
    ((name, _),) = folder_of(given).checkpoints(up_to=1)
    header, payload = b"norm-sweep checkpoint 3\n", b"whatever"
    newer = header + hashlib.sha256(header + payload).digest() + payload
    folder_of(given).storage.write(name, newer)
    before = folder_of(given).storage.read("record.json")
    with pytest.raises(CheckpointTooNew, match=r"version 3, but this program knows .* up to 2"):
        step(Attempt(given))
    assert folder_of(given).storage.read("record.json") == before
    assert folder_of(given).storage.read(name) == newer


def test_of_a_trial_that_another_driver_has_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = assignment()
    a_step_at_a_time(monkeypatch)
    sweep = SweepFolder(Storage.at(given.sweep_uri))
    with hold_lease(sweep) as reign:
        attempt = Attempt(replace(given, driver=reign.token))
        step(attempt)
        other = Holder("elsewhere", 1, "2024-05-01T10:00:00", "")
        sweep.storage.write(LEASE_FILE, other.to_json())
        before = files(given)
        with pytest.raises(SupersededError, match="has taken the sweep over"):
            step(attempt)
    assert files(given) == before


def files(given: Assignment) -> dict[str, bytes]:
    storage = folder_of(given).storage
    return {name: storage.read(name) for name in storage.names()}


def test_a_storage_that_disappears_is_not_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    given = assignment(epochs=3)
    a_step_at_a_time(monkeypatch)
    with hold_lease(SweepFolder(Storage.at(given.sweep_uri))) as reign:
        for driver in ("", reign.token):
            attempt = Attempt(replace(given, driver=driver))
            step(attempt)
            shutil.rmtree("runs")
            with pytest.raises(FileNotFoundError, match="has disappeared"):
                step(attempt)
            assert not Path("runs").exists()
            if not driver:
                SweepFolder(Storage.at(given.sweep_uri)).storage.write(
                    LEASE_FILE, reign.holder.to_json()
                )


def test_out_of_memory_is_put_aside_while_there_is_more_to_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_large(*_: Any) -> None:
        raise torch.OutOfMemoryError("no memory")

    given = assignment(can_grow=True)
    with monkeypatch.context() as patch:
        patch.setattr(Trial, "advance", too_large)
        attempt = Attempt(given)
        step(attempt)
    assert (attempt.stopped_for, attempt.is_done) == ("out_of_memory", True)
    record = train(given)
    assert record.outcome is Outcome.COMPLETED
    assert record.attempts[0].stopped_for == "out_of_memory"
