"""A grid from the first run to the last: trained once, extended, reported, tracked."""

from __future__ import annotations

import signal

from gated_grid import gated_grid, open_gate
from user_folder import Folder, Start
from waiting import until

METRIC_ROWS = "select count(*) from metrics"
RUNS = "select run_uuid, status from runs"
FOREIGN = ("ray", "Tune", "WARNING", "INFO", "Traceback", "alembic", "mlflow.store")


def test_a_grid_is_trained_once_and_only_what_is_new_is_trained_later(folder: Folder) -> None:
    folder.grid()
    first = folder.sweep("run", "grid.yaml")
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stderr == ""
    assert not any(word in first.stdout for word in FOREIGN), first.stdout
    assert "4 trials: 4 completed; trained now: 4" in first.stdout
    records = folder.records()
    assert {(len(r["epochs"]), r["outcome"]) for r in records.values()} == {(2, "completed")}
    rows, runs = folder.mlflow_rows(METRIC_ROWS), folder.mlflow_rows(RUNS)
    assert [status for _, status in runs] == ["FINISHED"] * 4

    again = folder.sweep("run", "grid.yaml")
    assert again.returncode == 0
    assert "trained now: 0" in again.stdout
    assert folder.records() == records
    assert folder.mlflow_rows(METRIC_ROWS) == rows
    assert sorted(folder.mlflow_rows(RUNS)) == sorted(runs)

    factors = {"norm": ["batchnorm", "groupnorm", "instancenorm"], "batch_size": [16, 8]}
    folder.grid(factors={**factors, "seed": 1})
    extended = folder.sweep("run", "grid.yaml")
    assert "6 trials: 6 completed; trained now: 2" in extended.stdout, extended.stdout
    later = folder.records()
    assert {key: later[key] for key in records} == records
    new = [later[key]["spec"]["norm"]["name"] for key in later.keys() - records.keys()]
    assert new == ["instancenorm"] * 2

    report = folder.python("analysis", "report", "small", "--out", "report")
    assert report.returncode == 0, report.stdout + report.stderr
    page = (folder.path / "report" / "report.html").read_text()
    assert "instancenorm" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    status = folder.sweep("status", "grid.yaml")
    assert "6 trials: 6 completed" in status.stdout
    sync = folder.sweep("sync", "grid.yaml")
    assert "0 of them just now" in sync.stdout


def test_an_interrupted_sweep_goes_on_where_it_was(folder: Folder, start: Start) -> None:
    gated_grid(folder, norms=("gated:Norm",))
    process = start("run", "grid.yaml")
    until(lambda: any(record["epochs"] for record in folder.records().values()), process)
    refused = folder.sweep("run", "grid.yaml")
    assert refused.returncode == 2
    assert "already running" in refused.stderr
    assert str(process.pid) in refused.stderr
    status = folder.sweep("status", "grid.yaml")
    assert f"process {process.pid}" in status.stdout
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert any("trials are being put aside" in line for line in process.stdout)
    open_gate(folder)  # a trial that waits within a step is not put aside, but ended after 30 s
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    assert "run the same command again to go on" in output
    before = folder.records()
    assert "RUNNING" not in {status for _, status in folder.mlflow_rows(RUNS)}

    resumed = folder.sweep("run", "grid.yaml")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    for trial_id, record in folder.records().items():
        assert [epoch["epoch"] for epoch in record["epochs"]] == list(range(1, 7))
        kept = before.get(trial_id, {"epochs": []})["epochs"]
        assert record["epochs"][: len(kept)] == kept
    assert any(r["attempts"][-1]["from_epoch"] > 0 for r in folder.records().values())
    per_run = "select count(*) from metrics where key='test_error' group by run_uuid"
    assert folder.mlflow_rows(per_run) == [(6,)] * 2


def test_a_layer_of_the_users_own_reaches_the_workers(folder: Folder) -> None:
    (folder.path / "layers.py").write_text(
        "from torch import nn\n"
        "class Scaled(nn.Module):\n"
        "    def __init__(self, num_channels, *, gain=1.0):\n"
        "        super().__init__()\n"
        "        self.norm, self.gain = nn.GroupNorm(2, num_channels), gain\n"
        "    def forward(self, x):\n"
        "        return self.gain * self.norm(x)\n"
        "class Broken(Scaled):\n"
        "    def forward(self, x):\n"
        "        if x.requires_grad:  # in training, and not when the grid is checked\n"
        "            raise RuntimeError('this layer has a bug')\n"
        "        return super().forward(x)\n"
    )
    norms = [{"name": "layers:Scaled", "gain": 0.5}, "batchnorm"]
    folder.grid(factors={"norm": norms, "batch_size": [16], "seed": 1})
    done = folder.sweep("run", "grid.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    options = [record["spec"]["norm"]["options"] for record in folder.records().values()]
    assert {"gain": 0.5} in options

    norms = ["layers:Broken"]
    factors = {"norm": norms, "batch_size": [16, 8, 4], "seed": 3}
    folder.grid(name="broken.yaml", factors=factors, reference=None)
    failed = folder.sweep("run", "broken.yaml")
    assert failed.returncode == 3, failed.stdout + failed.stderr  # trials are left
    assert failed.stdout.count("Traceback") == 1
    assert "this layer has a bug" in failed.stdout
    failures = [r for r in folder.records().values() if r["outcome"] == "failed"]
    assert 3 <= len(failures) < 9
    place = folder.path / "runs/small/trials" / failures[0]["trial_id"] / "traceback.txt"
    assert "this layer has a bug" in place.read_text()


def test_divergence_is_a_result_and_a_dead_store_does_not_stop_training(folder: Folder) -> None:
    folder.grid(
        factors={"norm": ["batchnorm"], "batch_size": [16, 8], "seed": 1},
        overrides=[{"when": {"batch_size": 8}, "set": {"train.optimizer.lr": 1e30}}],
    )
    shipped_nowhere = folder.sweep("run", "grid.yaml", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert shipped_nowhere.returncode == 4, shipped_nowhere.stdout + shipped_nowhere.stderr
    assert "1 completed, 1 diverged" in shipped_nowhere.stdout
    assert shipped_nowhere.stdout.count("MLflow cannot be reached") <= 1
    assert not (folder.path / "mlflow.db").exists()
    synced = folder.sweep("sync", "grid.yaml")
    assert synced.returncode == 0, synced.stdout + synced.stderr
    outcomes = "select value from tags where key='sweep.outcome' order by value"
    assert folder.mlflow_rows(outcomes) == [("completed",), ("diverged",)]
    assert [status for _, status in folder.mlflow_rows(RUNS)] == ["FINISHED"] * 2
