from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from mlflow_store import Query
from small_grids import change_epoch, factors, load, record_of, save

from sweep.grid.model import Grid
from sweep.records.attempt_info import TrialError
from sweep.records.record import Record
from sweep.tracking.export import export_all
from sweep.tracking.tracker import Tracker
from trainables.spec import Outcome

NOTES = (
    "select name, t.value from runs join tags t using (run_uuid) where key = 'mlflow.note.content'"
)


def notes(query: Query) -> dict[str, str]:
    return dict(query(NOTES))


def cell_of(*errors: float | None, **changes: Any) -> tuple[Grid, list[Record]]:
    """A cell whose seeds end with these errors; None diverges."""
    grid = load(**{**factors(norm=["groupnorm"], batch_size=[8], seed=len(errors)), **changes})
    records = []
    for trial, error in zip(grid.trials, errors, strict=True):
        outcome = Outcome.DIVERGED if error is None else Outcome.COMPLETED
        records.append(record_of(trial, 3, outcome))
        change_epoch(records[-1], 3, test_error=math.nan if error is None else error)
    return grid, records


def test_a_run_begins_with_a_note_and_gets_its_cells_mean_when_that_is_there(query: Query) -> None:
    grid, records = cell_of(20.0, 22.0, 27.0)
    running = Record.of(grid.trials[0].spec)
    running.attempts = records[0].attempts
    tracker = Tracker(grid)
    tracker.export([running])
    (first,) = notes(query).values()
    assert "**`groupnorm` at batch size 8, seed 0**" in first
    assert "**Outcome:** none yet" in first
    assert "```sh\nnorm-sweep reproduce grid.yaml groupnorm-bs008-s0\n```" in first
    tracker.export(records[:2])
    assert notes(query)["groupnorm-bs008-s0"] == first
    tracker.export(records[2:])
    ids: dict[str, Any] = dict(query("select name, run_uuid from runs"))
    written = notes(query)
    said = "points {} the mean of its cell's seeds 23.00 % (SD 3.61, n = 3)"
    assert f"**20.00 %**, 3.00 {said.format('below')}" in written["groupnorm-bs008-s0"]
    assert f"**27.00 %**, 4.00 {said.format('above')}" in written["groupnorm-bs008-s2"]
    for name, link in (("0", "groupnorm-bs008-s0"), ("2", "groupnorm-bs008-s2")):
        assert f"[{name}](#/experiments/1/runs/{ids[link]}?" in written["groupnorm-bs008-s1"]
    assert written["groupnorm-bs008-s1"].count("/runs/") == 2


def test_diverged_and_failed_trials_say_so_as_plain_text(query: Query) -> None:
    grid, records = cell_of(20.0, None, 30.0)
    records[2] = record_of(grid.trials[2], 1, Outcome.FAILED)
    message = "](http://evil) `<script>`\n# head\n" + "x" * 9999
    records[2].error = TrialError("RuntimeError", message=message, traceback="")
    Tracker(grid).export(records)
    written = notes(query)
    assert "**Outcome:** diverged, and so counted at chance" in written["groupnorm-bs008-s1"]
    assert "mean of its cell's seeds 55.00 % (SD 49.50, n = 2)" in written["groupnorm-bs008-s0"]
    failed = written["groupnorm-bs008-s2"]
    assert "failed: `RuntimeError: ](http://evil) <script> # head xxx" in failed
    assert "Test error" not in failed
    assert len(failed) < 2000


def test_sync_writes_the_same_notes_and_leaves_a_persons_words(query: Query) -> None:
    grid, records = cell_of(20.0, 22.0)
    tracker = Tracker(grid)
    tracker.export(records)
    as_shipped = notes(query)
    client = MlflowClient()
    runs = client.search_runs(["1"])
    client.set_tag(runs[0].info.run_id, "mlflow.note.content", "Look at this one.")
    client.delete_tag(runs[1].info.run_id, "mlflow.note.content")
    save(grid, *records)
    assert export_all(grid).num_exported == 0
    names = [run.info.run_name for run in runs]
    written = notes(query)
    assert written[names[0]] == f"Look at this one.\n\n{as_shipped[names[0]]}"
    assert written[names[1]] == as_shipped[names[1]]
    (experiment,) = query("select value from experiment_tags where key = 'mlflow.note.content'")
    client.set_experiment_tag("1", "mlflow.note.content", f"Mine.\n\n{experiment[0]}")
    export_all(load(name="other", tracking={"experiment": "small"}))
    (both,) = query("select value from experiment_tags where key = 'mlflow.note.content'")
    assert both[0].startswith(f"Mine.\n\n{experiment[0]}\n\n<!-- sweep other -->")


def test_an_interrupted_cell_gets_its_notes_in_the_end(query: Query) -> None:
    grid, records = cell_of(20.0, 22.0, 99.0)
    records[2] = record_of(grid.trials[2], 1)
    save(grid, *records)
    export_all(grid)
    written = notes(query)
    assert "mean of its cell's seeds 21.00 % (SD 1.41, n = 2)" in written["groupnorm-bs008-s1"]
    assert "**Outcome:** none yet" in written["groupnorm-bs008-s2"]


@pytest.mark.parametrize("seeds", [3, 12])
def test_a_trial_costs_as_many_calls_however_many_there_are(
    seeds: int, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, records = cell_of(*(float(i) for i in range(seeds)))
    calls: Counter[str] = Counter()
    tracker = Tracker(grid)
    for name in ("set_tag", "get_run", "log_batch", "log_text", "log_inputs"):

        def counted(*args: Any, _name: str = name, **kwargs: Any) -> Any:
            calls[_name] += 1
            return getattr(MlflowClient, _name)(tracker.client, *args, **kwargs)

        monkeypatch.setattr(tracker.client, name, counted)
    for record in records:
        tracker.export([record])
    tracker.note_writer.write_all()
    assert calls["get_run"] == seeds
    assert calls["set_tag"] == 2 * seeds  # the digest, and the note once its cell is finished
    assert calls["log_inputs"] == seeds
    assert sum(calls.values()) == 9 * seeds
