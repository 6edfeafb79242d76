"""A small grid as a user writes it, and what follows from it: trials, records, plans, boards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweep.errors import GridError
from sweep.execution.state import SweepState
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid, load_grid
from sweep.planning import plan as planning
from sweep.planning.feasibility import FeasibleGrid
from sweep.planning.plan import Plan
from sweep.planning.trial_states import read_trial_states
from sweep.records.attempt_info import AttemptInfo, TrialError
from sweep.records.epoch_record import EpochRecord
from sweep.records.provenance import Provenance
from sweep.records.record import Record
from trainables.spec import EpochMetrics, Outcome

FACTORS: dict[str, Any] = {"norm": ["batchnorm", "groupnorm"], "batch_size": [16, 8], "seed": 2}
SMALL: dict[str, Any] = {
    "name": "small",
    "factors": FACTORS,
    "data": {"name": "digits", "num_train": 64, "num_test": 32},
    "model": {"name": "resnet8", "width": 4},
    "train": {"epochs": 3, "optimizer": {"lr": 0.02}},
}


def write(path: Path | str = "grid.yaml", **changes: Any) -> Path:
    """The small grid with some of its sections changed, or (None) taken out."""
    sections = {key: value for key, value in {**SMALL, **changes}.items() if value is not None}
    file = Path(path)
    file.write_text(yaml.safe_dump(sections, sort_keys=False))
    return file


def load(path: Path | str = "grid.yaml", **changes: Any) -> Grid:
    return load_grid(write(path, **changes))


def factors(**changes: Any) -> dict[str, Any]:
    """Keywords for `load`: the small grid's factors with some changed."""
    return {"factors": {**FACTORS, **changes}}


def complaints(**changes: Any) -> list[str]:
    """What a grid is refused for, as `where: what`; each has a line of the file."""
    file = write(**changes)
    with pytest.raises(GridError) as caught:
        load_grid(file)
    num_lines = len(file.read_text().splitlines())
    assert all(1 <= problem.line <= num_lines for problem in caught.value.problems)
    assert all("\n" not in message for message in caught.value.messages)
    return [f"{problem.where}: {problem.what}" for problem in caught.value.problems]


def metrics(epoch: int, **changes: Any) -> EpochMetrics:
    """An epoch whose every value can be told from the other epochs'."""
    return EpochMetrics(
        **{
            "epoch": epoch,
            "train_loss": 1 / epoch,
            "train_error": 50.0 / epoch,
            "test_loss": 1.5 / epoch,
            "test_error": 60.0 / epoch,
            "best_test_error": 60.0 / epoch,
            "lr": 0.02,
            "num_updates": 4 * epoch,
            "train_s": 0.5,
            "eval_s": 0.25,
            **changes,
        }
    )


def record_of(trial: GridTrial, epochs: int = 0, outcome: Outcome | None = None) -> Record:
    """A record as an attempt would have left it."""
    record = Record.of(trial.spec)
    record.num_classes, record.chance_error = 10, 90.0
    record.num_train, record.num_test, record.num_parameters = 64, 32, 1234
    ended = "2024-05-01T10:00:30+00:00" if outcome else None
    started = "2024-05-01T10:00:00+00:00"
    info = AttemptInfo(started=started, host="node", pid=1, device="cpu", from_epoch=0, ended=ended)
    record.attempts = [info]
    machine = {"host": "node", "device": "cpu"}
    record.provenance = Provenance(code_version="1.0", python="3.11.0", **machine)
    for epoch in range(1, epochs + 1):
        record.add_epoch(metrics(epoch))
    record.outcome = outcome
    if outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY):
        record.error = TrialError("RuntimeError", message="a bug", traceback="a bug\n")
    return record


def change_epoch(record: Record, epoch: int, **changes: float) -> None:
    """Replace metrics of one committed epoch, which is counted from 1."""
    former = record.epochs[epoch - 1]
    changed = dataclasses.replace(former.metrics, **changes)
    record.epochs[epoch - 1] = EpochRecord(former.timestamp_ms, changed)


def feasible(grid: Grid, **changes: Any) -> FeasibleGrid:
    """The grid as one whose cells have been tried, of which nothing is built."""
    return FeasibleGrid.of(grid, **changes)


def load_feasible(**changes: Any) -> FeasibleGrid:
    return feasible(load(**changes))


def make_plan(grid: Grid, retry: Iterable[Outcome] = ()) -> Plan:
    """The plan of a grid whose cells are taken for feasible."""
    return planning.make_plan(feasible(grid), read_trial_states(grid, retry))


def save(grid: Grid, *records: Record) -> Plan:
    """Commit records to the grid's storage; returns the plan that finds them."""
    folder = make_plan(grid).folder
    for record in records:
        folder.trial(record.trial_id).save(record)
    return make_plan(grid)


def board(grid: Grid, *records: Record, slots: int = 2) -> SweepState:
    return SweepState(save(grid, *records), slots=slots)
