"""`gc`: what it deletes, and what it must not; `sync` after a driver that died early."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_grids import load, record_of, save
from typer.testing import CliRunner

from sweep.cli.app import app
from sweep.errors import ExitCode
from sweep.planning.plan import Plan
from sweep.records.lease import LEASE_FILE, Holder, current_holder, hold_lease
from sweep.tracking import export
from sweep.tracking.export import ExportResult
from trainables.spec import Outcome


@pytest.fixture
def plan() -> Plan:
    grid = load()
    outcomes = [Outcome.COMPLETED, Outcome.DIVERGED, Outcome.FAILED, Outcome.OUT_OF_MEMORY, None]
    records = [
        record_of(trial, 3 if outcome is Outcome.COMPLETED else 1, outcome)
        for trial, outcome in zip(grid.trials, outcomes, strict=False)
    ]
    plan = save(grid, *records)
    for record in records:
        folder = plan.folder.trial(record.trial_id)
        folder.save_checkpoint(1, 0, b"x" * 1000)
        folder.storage.write(".checkpoint.1234.tmp", b"x" * 10)
    return plan


def left(plan: Plan, place: int) -> set[str]:
    folder = plan.folder.trial(plan.grid.trials[place].trial_id)
    return set(folder.storage.names())


def test_only_what_nothing_goes_on_from_is_deleted(plan: Plan) -> None:
    before = [left(plan, place) for place in range(5)]
    result = CliRunner().invoke(app, ["gc", "grid.yaml"])
    assert result.exit_code == ExitCode.DONE
    assert "checkpoints of 2 trials" in result.stdout
    assert [left(plan, place) for place in (0, 1)] == [{"record.json"}] * 2
    assert [left(plan, place) for place in (2, 3, 4)] == before[2:]


def test_a_dry_run_deletes_nothing(plan: Plan) -> None:
    before = [left(plan, place) for place in range(5)]
    result = CliRunner().invoke(app, ["gc", "grid.yaml", "--dry-run"])
    assert "checkpoints of 2 trials, 0.0 MB, would be deleted" in result.stdout
    assert [left(plan, place) for place in range(5)] == before


def test_a_running_sweep_keeps_everything(plan: Plan) -> None:
    before = [left(plan, place) for place in range(5)]
    with hold_lease(plan.folder):
        result = CliRunner().invoke(app, ["gc", "grid.yaml"])
    assert result.exit_code == ExitCode.REFUSED
    assert [left(plan, place) for place in range(5)] == before


def test_twice_is_nothing_the_second_time(plan: Plan) -> None:
    CliRunner().invoke(app, ["gc", "grid.yaml"])
    result = CliRunner().invoke(app, ["gc", "grid.yaml"])
    assert "checkpoints of 0 trials" in result.stdout
    assert Path("runs/small").is_dir()


def test_sync_follows_a_driver_that_died_before_the_first_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = save(load())
    asked = []
    monkeypatch.setattr(export, "export_all", lambda grid: asked.append(grid) or ExportResult())
    assert CliRunner().invoke(app, ["sync", "grid.yaml"]).exit_code == ExitCode.REFUSED
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = Holder(socket.gethostname(), ended.pid, "2026-01-01T00:00:00+00:00", "1")
    plan.folder.storage.write(LEASE_FILE, dead.to_json())
    assert CliRunner().invoke(app, ["sync", "grid.yaml"]).exit_code == ExitCode.NOT_TRACKED
    assert len(asked) == 1
    assert current_holder(plan.folder) is None
