from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mlflow_store import Query
from small_grids import factors, load, metrics, record_of

from sweep.grid.model import Grid
from sweep.records.record import Record
from sweep.tracking.runs import DIGEST
from sweep.tracking.tracker import Tracker
from trainables.spec import Outcome

STAGES = "select lifecycle_stage from runs order by lifecycle_stage"
ROWS = "select count(*), count(distinct step) from metrics join runs using (run_uuid) where "
ROWS += "key = 'test_error' and lifecycle_stage = 'active'"


@pytest.fixture
def grid() -> Grid:
    return load(**factors(norm=["groupnorm"], batch_size=[8], seed=1))


def test_a_call_that_was_carried_out_twice_leaves_one_run(grid: Grid, query: Query) -> None:
    """As when the answer to the first `create_run` is lost, and MLflow's client repeats it."""
    tracker = Tracker(grid)
    record = record_of(grid.trials[0], 2)
    create_run = tracker.client.create_run

    def twice(*arguments: Any, **named: Any) -> Any:
        create_run(*arguments, **named)
        return create_run(*arguments, **named)

    tracker.client.create_run = twice  # type: ignore[method-assign]
    tracker.export([record])
    assert query(STAGES) == [("active",), ("active",)]
    record.add_epoch(metrics(3))
    record.outcome = Outcome.COMPLETED
    Tracker(grid).export([record])
    assert query(STAGES) == [("active",), ("deleted",)]
    assert query(ROWS) == [(3, 3)]
    assert query("select status from runs where lifecycle_stage = 'active'") == [("FINISHED",)]


@pytest.mark.parametrize("which", [0, 1])
def test_of_two_runs_the_one_that_was_shipped_stays(which: int, grid: Grid, query: Query) -> None:
    record = record_of(grid.trials[0], 2, Outcome.COMPLETED)
    Tracker(grid).export([record])
    ((shipped,),) = query("select run_uuid from runs")
    client = Tracker(grid).client
    tags = {k: v for k, v in client.get_run(shipped).data.tags.items() if k != DIGEST}
    # MLflow lists the latest first: the double comes before the shipped one, or after it
    start = query("select start_time from runs")[0][0] + (1 if which else -1)
    client.create_run(client.get_run(shipped).info.experiment_id, start_time=start, tags=tags)
    assert Tracker(grid).export([record]) == 0
    active = query("select run_uuid from runs where lifecycle_stage = 'active'")
    assert active == [(shipped,)]


def test_a_trial_whose_record_was_deleted_gets_a_new_run(grid: Grid, query: Query) -> None:
    earlier = record_of(grid.trials[0], 3, Outcome.COMPLETED)
    Tracker(grid).export([earlier])
    again: Record = record_of(grid.trials[0], 3, Outcome.COMPLETED)
    again.attempts[0] = replace(again.attempts[0], started="2024-05-02T10:00:00+00:00")
    again.epochs = [replace(e, timestamp_ms=e.timestamp_ms + 86_400_000) for e in again.epochs]
    tracker = Tracker(grid)
    assert tracker.export([again]) == 1
    assert tracker.export([again]) == 0
    assert query(STAGES) == [("active",), ("deleted",)]
    assert query(ROWS) == [(3, 3)]
