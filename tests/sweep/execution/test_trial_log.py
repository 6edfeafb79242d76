"""The log of a trial: what is in it after attempts that end in each way, and what it may cost."""

from __future__ import annotations

import logging
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from small_assignments import assignment, folder_of, step

from sweep.execution import attempt as attempt_module
from sweep.execution.assignment import Assignment
from sweep.execution.attempt import Attempt
from sweep.execution.trial_log import TrialLog
from sweep.records import trial_log
from sweep.records.record import TrialFolder
from sweep.records.storage import Storage
from sweep.records.trial_log import CUT_NOTICE, TRIAL_LOG, append_to_log, find_log
from trainables.spec import Outcome


def log_of(given: Assignment) -> str:
    return folder_of(given).storage.read(TRIAL_LOG).decode()


def finished(given: Assignment) -> Attempt:
    attempt = Attempt(given)
    while not attempt.is_done:
        step(attempt)
    attempt.log.settle(10)
    return attempt


def texts(log: str) -> list[str]:
    """The messages without their times, levels and modules."""
    return [line.split(" ", 3)[3] for line in log.splitlines()]


def test_an_attempt_that_completes() -> None:
    given = assignment(epochs=2)
    attempt = finished(given)
    start, first, second, end = texts(log_of(given))
    name, host = attempt.record.attempts[0].id, attempt.record.attempts[0].host
    assert start.startswith(f"attempt {name} starts on {host}, process ")
    assert start.endswith(", device cpu, with 0.1.0, at epoch 0, step 0")
    error = attempt.record.epochs[0].metrics.test_error
    assert first.startswith("epoch 1 of 2: train loss ")
    assert f"test error {error:.2f} %" in first
    assert second.startswith("epoch 2 of 2: ")
    assert end == f"attempt {name} ends: completed"
    assert attempt.log not in logging.getLogger().handlers


def test_a_second_attempt_appends_and_names_one_that_was_lost() -> None:
    given = assignment(epochs=2)
    attempt = Attempt(given)
    step(attempt)
    logging.getLogger().removeHandler(attempt.log)  # and its process is gone
    attempt = finished(given)
    lost, last = attempt.record.attempts
    lines = texts(log_of(given))
    assert sum("starts on" in line for line in lines) == 2
    assert f"attempt {lost.id} on {lost.host} ended without a message: its process was lost" in (
        lines
    )
    (again,) = (line for line in lines if line.startswith(f"attempt {last.id} starts"))
    assert again.endswith(", at epoch 1, step 0")


def test_a_suspended_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    given = assignment(epochs=3)
    attempt = Attempt(given)
    step(attempt)
    assert attempt.info is not None
    name = attempt.info.id
    monkeypatch.setattr(Attempt, "is_stop_requested", lambda self: True)
    step(attempt)
    assert texts(log_of(given))[-1] == f"attempt {name} is suspended: interrupted"


def test_a_failed_attempt_has_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    import trainables

    def explode(self: trainables.Trial) -> None:
        raise ValueError("singular matrix")

    monkeypatch.setattr(trainables.Trial, "advance", explode)
    given = assignment()
    assert finished(given).record.outcome is Outcome.FAILED
    log = log_of(given)
    assert "ERROR sweep.execution.attempt attempt" in log
    assert "Traceback (most recent call last):" in log
    assert log.endswith("ValueError: singular matrix\n")
    assert find_log(folder_of(given)) == f"{folder_of(given).storage.uri}/{TRIAL_LOG}"


def test_a_trial_that_fails_before_it_has_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainables import data

    def nothing(*_: object) -> None:
        raise ValueError("no such host")

    monkeypatch.setattr(data, "download", nothing)
    given = assignment()
    finished(given)
    assert log_of(given).endswith("ValueError: no such host\n")


def test_warnings_of_libraries_are_in_it_and_messages_of_other_trials_are_not() -> None:
    given = assignment()
    attempt = Attempt(given)
    attempt.begin()
    logging.captureWarnings(True)
    try:
        warnings.warn("slow kernel", UserWarning, stacklevel=1)
    finally:
        logging.captureWarnings(False)
    logging.getLogger("somelibrary").warning("cache is full")
    logging.getLogger("somelibrary").info("chatter")
    others = logging.LoggerAdapter(attempt_module.logger, {"trial_id": "other"})
    others.info("epoch 1 of 9")
    attempt.messages.info("mine")
    attempt.writer.settle()  # the log's folder is made with the record
    attempt.release()
    attempt.log.settle(10)
    log = log_of(given)
    assert "WARNING py.warnings" in log
    assert "UserWarning: slow kernel" in log
    assert "WARNING somelibrary cache is full" in log
    assert "INFO sweep.execution.attempt mine" in log
    assert "chatter" not in log
    assert "epoch 1 of 9" not in log


def test_a_log_that_cannot_be_written_costs_nothing_but_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(folder: TrialFolder, content: bytes) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweep.execution.trial_log.append_to_log", full)
    given = assignment()
    assert finished(given).record.outcome is Outcome.COMPLETED
    assert TRIAL_LOG not in folder_of(given).storage.names()
    assert find_log(folder_of(given)) is None


def test_a_log_of_a_storage_that_has_disappeared_is_not_made_anew() -> None:
    given = assignment(epochs=3)
    attempt = Attempt(given)
    step(attempt)
    attempt.log.settle(10)
    shutil.rmtree("runs")
    attempt.messages.info("into nowhere")
    attempt.log.settle(10)
    assert not Path("runs").exists()


def test_a_record_is_the_same_with_or_without_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = finished(assignment("runs/logged")).record
    monkeypatch.setattr(TrialLog, "emit", lambda self, record: None)
    unlogged = finished(assignment("runs/unlogged")).record
    assert logged.weights_digest == unlogged.weights_digest
    assert set(vars(logged)) == set(vars(unlogged))
    assert [set(a.to_json()) for a in logged.attempts] == [
        set(a.to_json()) for a in unlogged.attempts
    ]


@pytest.mark.parametrize("place", ["runs", "mock://bucket/runs"])
def test_a_log_loses_its_older_half(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_log, "MAX_LOG_BYTES", 100)
    folder = TrialFolder(Storage.at(place).below("trials", "a"))
    folder.storage.write("record.json", b"{}")
    for number in range(30):
        assert append_to_log(folder, f"line {number:02}\n".encode())
        content = folder.storage.read(TRIAL_LOG)
        assert len(content) <= 100
        assert content.endswith(f"line {number:02}\n".encode())
    first, *lines = content.decode().splitlines(keepends=True)
    assert first.encode() == CUT_NOTICE
    assert all(len(line) == len("line 00\n") for line in lines)


def test_on_an_object_store_it_is_written_when_the_attempt_ends() -> None:
    given = replace(assignment(epochs=2), sweep_uri="mock://bucket/runs")
    attempt = Attempt(given)
    step(attempt)
    attempt.log.settle(10)
    first = folder_of(given).storage.names()
    while not attempt.is_done:
        step(attempt)
    attempt.log.settle(10)
    assert TRIAL_LOG in folder_of(given).storage.names()
    assert len(texts(log_of(given))) == 4
    assert "record.json" in first
