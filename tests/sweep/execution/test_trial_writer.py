"""What is written, when, and what becomes of a disk that is slow or full."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_assignments import assignment, folder_of

from sweep.execution import trial_writer as module
from sweep.execution.trial_writer import SupersededError, TrialWriter
from sweep.records.attempt_info import AttemptInfo
from sweep.records.record import Record, TrialFolder
from sweep.records.storage import Storage


@dataclass
class Small:
    """As much of a trial as a checkpoint needs."""

    epoch: int = 1
    steps_into_epoch: int = 0

    def state(self) -> bytes:
        return b"state %d" % self.epoch


@pytest.fixture
def folder(tmp_path: Path) -> TrialFolder:
    return folder_of(assignment(str(tmp_path)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    found = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: found.now)
    monkeypatch.setattr(module, "CHECKPOINT_SHARE", 0.02)
    monkeypatch.setattr(module, "CHECKPOINT_MIN_S", 1.0)
    return found


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Writes wait for this."""
    goes_on, write = threading.Event(), Storage.write

    def written(storage: Storage, name: str, content: bytes) -> None:
        assert goes_on.wait(30)
        write(storage, name, content)

    monkeypatch.setattr(Storage, "write", written)
    yield goes_on
    goes_on.set()


def begun(attempt: str = "a") -> Record:
    record = Record.of(assignment().spec)
    record.attempts.append(AttemptInfo(id=attempt, started="now"))
    return record


def test_training_does_not_wait_for_the_disk_but_whoever_is_told_does(
    folder: TrialFolder, slow: threading.Event
) -> None:
    commits = TrialWriter(folder, 60)
    commits.write_record(begun())
    commits.write_checkpoint(Small())  # type: ignore[arg-type]
    commits.write_correct_examples(b"bits")
    assert not commits.is_reported
    assert folder.load() is None
    threading.Timer(0.2, slow.set).start()
    commits.settle()
    assert commits.is_reported
    assert folder.load() == begun()
    assert folder.load_correct() == b"bits"
    assert dict(folder.checkpoints(up_to=1)) == {"checkpoint-000001.pt": b"state 1"}


def test_a_record_is_written_as_it_stood(folder: TrialFolder, slow: threading.Event) -> None:
    commits, record = TrialWriter(folder, 60), begun()
    commits.write_record(record)
    record.attempts.append(AttemptInfo(id="later", started="now"))
    slow.set()
    commits.settle()
    assert folder.load() == begun()


@pytest.mark.parametrize("then", [TrialWriter.settle, lambda it: it.require_current_attempt("a")])
def test_a_full_disk_is_heard_of_before_the_next_commit(
    folder: TrialFolder, monkeypatch: pytest.MonkeyPatch, then: Callable[[TrialWriter], None]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    commits = TrialWriter(folder, 60)
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write", full)
        commits.write_record(begun())
        with pytest.raises(OSError, match="No space left"):
            then(commits)
    assert not commits.is_reported


def test_of_two_records_the_later_one_stays(folder: TrialFolder, slow: threading.Event) -> None:
    commits = TrialWriter(folder, 60)
    commits.write_record(begun())
    threading.Timer(0.1, slow.set).start()
    commits.write_record(begun("b"))
    commits.settle()
    assert folder.load() == begun("b")
    commits.require_current_attempt("b")
    with pytest.raises(SupersededError, match="another worker's"):
        commits.require_current_attempt("a")


def test_an_epoch_ends_in_a_checkpoint_unless_it_took_less_than_a_second(
    folder: TrialFolder, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> None:
        clock.now += 2.0

    commits = TrialWriter(folder, 60)
    due = [(0.9, False, False), (1.1, True, False), (59.0, True, False), (61.0, True, True)]
    for clock.now, at_epoch_end, within in due:
        assert commits.checkpoint_is_due(within_epoch=False) is at_epoch_end
        assert commits.checkpoint_is_due(within_epoch=True) is within
    monkeypatch.setattr(TrialFolder, "save_checkpoint", write)
    clock.now = 100.0
    commits.write_checkpoint(Small())  # type: ignore[arg-type]
    commits.settle()
    # It took two seconds: within an epoch the next one waits for a hundred.
    for clock.now, is_due in ((199.0, False), (201.0, True)):
        assert commits.checkpoint_is_due(within_epoch=False)
        assert commits.checkpoint_is_due(within_epoch=True) is is_due


@pytest.mark.parametrize("reports_weights", [False, True])
def test_the_driver_waits_for_weights_only_if_mlflow_gets_them(
    folder: TrialFolder, monkeypatch: pytest.MonkeyPatch, reports_weights: bool
) -> None:
    goes_on, save = threading.Event(), TrialFolder.save_checkpoint

    def slow(*given: Any) -> None:
        assert goes_on.wait(30)
        save(*given)

    monkeypatch.setattr(TrialFolder, "save_checkpoint", slow)
    commits = TrialWriter(folder, 60, reports_weights=reports_weights)
    commits.write_record(begun())
    commits.write_last_checkpoint_later(Small())  # type: ignore[arg-type]
    if reports_weights:
        threading.Timer(0.1, goes_on.set).start()
    commits.settle_reported()
    assert commits.is_reported
    assert bool(list(folder.checkpoints(up_to=1))) is reports_weights
    goes_on.set()
    commits.settle()
    assert dict(folder.checkpoints(up_to=1)) == {"checkpoint-000001.pt": b"state 1"}
