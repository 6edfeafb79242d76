"""Several seeds in one trainable: for the user each of them is a trial like any other."""

from __future__ import annotations

from marked_processes import kill_marked
from user_folder import Folder, Start
from waiting import until

FACTORS = {"norm": ["batchnorm"], "batch_size": [8], "seed": 4}
TRAIN = {"epochs": 12, "optimizer": {"lr": 0.02}}


def test_seeds_side_by_side_are_killed_resumed_and_joined_by_another(
    folder: Folder, start: Start, mark: dict[str, str]
) -> None:
    resources = {"seeds_per_trainable": 2}
    folder.grid(factors=FACTORS, train=TRAIN, resources=resources)
    process = start("run", "grid.yaml")
    until(lambda: sum(len(r["epochs"]) for r in folder.records().values()) >= 4, process)
    kill_marked(mark)
    process.wait()
    before = folder.records()
    resumed = folder.sweep("run", "grid.yaml")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    records = folder.records()
    assert len(records) == 4
    for trial_id, record in records.items():
        assert record["outcome"] == "completed"
        assert [epoch["epoch"] for epoch in record["epochs"]] == list(range(1, 13))
        assert {a["fused"] for a in record["attempts"] if "fused" in a} == {2}
        kept = before[trial_id]["epochs"] if trial_id in before else []
        assert record["epochs"][: len(kept)] == kept
    tags = folder.mlflow_rows("select value from tags where key = 'sweep.fused'")
    assert tags == [("2",)] * 4
    folder.grid(factors={**FACTORS, "seed": 5}, train=TRAIN, resources={"seeds_per_trainable": 4})
    joined = folder.sweep("run", "grid.yaml")
    assert joined.returncode == 0, joined.stdout + joined.stderr
    assert "trained now: 1" in joined.stdout
    now = folder.records()
    assert {trial_id: now[trial_id] for trial_id in records} == records
    alike = folder.sweep("reproduce", "grid.yaml", "batchnorm-bs008-s1", "--epochs", "1")
    assert alike.returncode == 0, alike.stdout
    assert "its record is of 2 seeds side by side" in alike.stdout
