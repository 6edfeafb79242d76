from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from mlflow_store import Query
from small_grids import factors, load, record_of, save

from sweep.grid.expand import GridTrial
from sweep.records.record import Record
from sweep.tracking.artifacts import format_resolved_grid
from sweep.tracking.dataset import dataset_inputs
from sweep.tracking.tracker import Tracker
from trainables.spec import Outcome


def shown(trial: GridTrial) -> dict[str, Any]:
    norm = trial.spec.norm
    return {"label": norm.name, "name": norm.name, "options": dict(norm.options)}


def test_the_resolved_grid_holds_every_field_once_and_grows_with_the_levels() -> None:
    grid = load(
        factors={
            "norm": ["batchnorm", {"name": "groupnorm", "num_groups": 8}],
            "batch_size": [16, 8],
            "seed": 3,
        },
        overrides=[{"when": {"batch_size": 8}, "set": {"train.epochs": 5}}],
    )
    stated = yaml.safe_load(format_resolved_grid(grid))
    assert stated["differs"] == {
        "norm": [shown(trial) for trial in (grid.trials[0], grid.trials[2])],
        "batch_size": [16, 8],
        "seed": [0, 1, 2],
        "train.epochs": [3, 5],
    }
    assert stated["same"]["train.optimizer.momentum"] == 0.9  # a default
    assert stated["num_trials"] == len(grid.trials)
    assert not stated["differs"].keys() & stated["same"].keys()
    more = load(**factors(seed=40))
    assert len(format_resolved_grid(more)) < 2 * len(format_resolved_grid(grid))


def test_a_finished_run_holds_record_grid_and_data_set(query: Query, tmp_path: Path) -> None:
    grid = load(**factors(norm=["groupnorm"], batch_size=[8], seed=1))
    record = record_of(grid.trials[0], 3, Outcome.COMPLETED)
    plan = save(grid, record)
    folder = plan.folder.trial(record.trial_id)
    folder.save_checkpoint(2, 0, b"earlier")
    folder.save_checkpoint(3, 0, b"last")
    Tracker(grid).export([record])
    names = {file.name for file in tmp_path.glob("mlruns/**/artifacts/**/*") if file.is_file()}
    assert names == {"record.json", "grid.yaml"}
    inputs = (
        "select d.name, dataset_profile, t.value from datasets d "
        "join inputs on source_id = dataset_uuid join input_tags t using (input_uuid)"
    )
    rows = {split: (name, json.loads(profile)) for name, profile, split in query(inputs)}
    assert rows == {
        "train": ("digits", {"num_examples": 64, "num_classes": 10}),
        "test": ("digits", {"num_examples": 32, "num_classes": 10}),
    }
    # As if the digest had not arrived: logged again, and still there once.
    query("delete from tags where key = 'sweep.record_digest'")
    Tracker(grid).export([record])
    assert len(query(inputs)) == 2


def test_models_are_logged_where_they_are_asked_for(query: Query, tmp_path: Path) -> None:
    changes = factors(norm=["groupnorm"], batch_size=[8], seed=2)
    grid = load(**changes, tracking={"log_models": True})
    assert grid.experiment == "small"
    good, bad = grid.trials
    plan = save(
        grid,
        *(records := [record_of(good, 3, Outcome.COMPLETED), record_of(bad, 3, Outcome.DIVERGED)]),
    )
    for trial in grid.trials:
        plan.folder.trial(trial.trial_id).save_checkpoint(2, 0, b"earlier")
        plan.folder.trial(trial.trial_id).save_checkpoint(3, 0, b"last")
    Tracker(grid).export(records)
    (file,) = tmp_path.glob("mlruns/**/model/*")
    assert (file.name, file.read_bytes()) == ("checkpoint-000003.pt", b"last")
    (uri,) = query("select artifact_uri from runs where name = 'groupnorm-bs008-s0'")
    assert str(file).startswith(uri[0].removeprefix("file://"))


def test_a_data_sets_digest_names_its_bits() -> None:
    grid = load(**factors(norm=["groupnorm"], batch_size=[16, 8], seed=1))
    one, other = (record_of(trial) for trial in grid.trials)

    def digests(record: Record) -> list[str]:
        return [found.dataset.digest for found in dataset_inputs(record)]

    assert digests(one) == digests(other)
    assert len(set(digests(one))) == 2  # the two splits are other data
    other.attempts[-1] = replace(other.attempts[-1], data="other bits of a custom data set")
    assert digests(one) != digests(other)
    other.num_train = other.num_test = None
    assert digests(other) == []
