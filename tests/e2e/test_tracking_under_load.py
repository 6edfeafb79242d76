"""Sixteen trials report at once to an MLflow server on PostgreSQL; nothing is lost or doubled."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import postgresql_server
import pytest
from mlflow_server import mlflow_server
from small_grids import load, metrics

from sweep.grid.expand import GridTrial
from sweep.planning.trial_states import sweep_folder
from sweep.records.record import Record
from sweep.tracking.export import export_all
from sweep.tracking.exporter import Exporter
from trainables.spec import Outcome

NUM_EPOCHS = 20
NO_POSTGRESQL = postgresql_server.why_not()


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_POSTGRESQL), reason=NO_POSTGRESQL or "")
def test_sixteen_trials_report_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)
    grid = load(
        factors={"norm": ["batchnorm", "groupnorm"], "batch_size": [16, 8], "seed": 4},
        train={"epochs": NUM_EPOCHS},
    )
    assert len(grid.trials) == 16
    with (
        postgresql_server.postgresql_server() as database,
        mlflow_server(tmp_path, database.uri) as server,
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        shipper = Exporter(grid)

        def report(trial: GridTrial) -> Record:
            record = Record.of(trial.spec)
            for epoch in range(1, NUM_EPOCHS + 1):
                record.add_epoch(metrics(epoch))
                record.outcome = Outcome.COMPLETED if epoch == NUM_EPOCHS else None
                sweep_folder(grid).trial(trial.trial_id).save(record)
                shipper.notify_change(trial.trial_id)
                time.sleep(0.2)
            return record

        with ThreadPoolExecutor(16) as pool:
            records = {r.trial_id: r for r in pool.map(report, grid.trials)}
        shipped = shipper.finish()
        assert shipped.error is None
        again = export_all(grid)
        assert (again.error, again.num_exported) == (None, 0)

        client = MlflowClient(server.uri)
        experiment = client.get_experiment_by_name(grid.experiment)
        runs = client.search_runs([experiment.experiment_id])
        assert {run.data.tags["sweep.trial_id"] for run in runs} == records.keys()
        assert len(runs) == 16
        for run in runs:
            epochs = records[run.data.tags["sweep.trial_id"]].epochs
            history = client.get_metric_history(run.info.run_id, "test_error")
            assert sorted((m.step, m.timestamp, m.value) for m in history) == [
                (e["epoch"], e["timestamp_ms"], e["test_error"]) for e in epochs
            ]
            assert run.info.status == "FINISHED"
