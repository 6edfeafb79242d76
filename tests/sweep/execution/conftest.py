"""Attempts here train epochs of milliseconds, after each of which they can be cut off."""

import pytest


@pytest.fixture(autouse=True)
def a_checkpoint_at_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.execution.trial_writer.CHECKPOINT_MIN_S", 0.0)
    monkeypatch.setattr("sweep.execution.trial_writer.CHECKPOINT_SHARE", 1e9)
