"""Assignments of trials that take a fraction of a second, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from small_grids import factors, load

from sweep.execution.assignment import Assignment
from sweep.execution.attempt import Attempt
from sweep.execution.trainable import advance_trial
from sweep.records.record import Record, SweepFolder, TrialFolder
from sweep.records.storage import Storage

TIMES = {"timestamp_ms", "train_s", "eval_s"}


def assignment(sweep: str = "runs/small", norm: Any = "groupnorm", **changes: Any) -> Assignment:
    epochs, lr = changes.pop("epochs", 2), changes.pop("lr", 0.02)
    train = {"epochs": epochs, "optimizer": {"lr": lr}}
    grid = load(**factors(norm=[norm], batch_size=[16], seed=1), train=train)
    return Assignment(
        spec=grid.trials[0].spec,
        sweep_uri=str(Path(sweep).absolute()),
        data_root=None,
        import_paths=grid.import_paths,
        device="cpu",
        num_threads=1,
        **changes,
    )


def folder_of(given: Assignment) -> TrialFolder:
    return SweepFolder(Storage.at(given.sweep_uri)).trial(given.spec.trial_id)


def step(attempt: Attempt) -> None:
    """Train until an epoch, an outcome or a suspension is committed, as a worker does."""
    try:
        while not attempt.is_done:
            if attempt.is_stop_requested():
                attempt.suspend("interrupted")
            elif attempt.trial is None:
                attempt.begin()
            elif advance_trial(attempt):
                return
    finally:
        attempt.writer.settle()


def train(given: Assignment, steps: int = 100) -> Record:
    """Some steps of a new attempt, which is then gone; returns what it has committed."""
    attempt = Attempt(given)
    for _ in range(steps):
        step(attempt)
        if attempt.is_done:
            break
    record = folder_of(given).load()
    assert record is not None
    return record


def without_times(record: Record) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in epoch.to_json().items() if name not in TIMES}
        for epoch in record.epochs
    ]
