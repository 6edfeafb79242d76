"""Attempts here train epochs of milliseconds, after each of which they can be cut off."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from sweep.execution.trial_log import TrialLog


@pytest.fixture(autouse=True)
def a_checkpoint_at_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.execution.trial_writer.CHECKPOINT_MIN_S", 0.0)
    monkeypatch.setattr("sweep.execution.trial_writer.CHECKPOINT_SHARE", 1e9)


@pytest.fixture(autouse=True)
def an_attempt_that_is_left_logs_no_more() -> Iterator[None]:
    """Its process would be gone."""
    yield
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, TrialLog)]:
        root.removeHandler(handler)
