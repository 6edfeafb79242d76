"""What an experiment's tags say of the trials that a grid asks for, within MLflow's limits."""

from __future__ import annotations

import json

import pytest
from mlflow_store import Query
from small_grids import factors, load

from sweep.tracking.tags import experiment_tags
from sweep.tracking.tracker import Tracker


@pytest.mark.slow
def test_a_large_grid_is_expected_in_several_tags() -> None:
    norms = [{"name": "groupnorm", "num_groups": 8, "eps": 1e-5 * i} for i in range(1, 91)]
    grid = load(**factors(norm=norms, batch_size=[16], seed=1200))
    tags = experiment_tags(grid)
    assert len(tags) > 1
    assert all(len(text) < 4500 for text in tags.values())
    blocks = [b for key in tags if ".expected." in key for b in json.loads(tags[key])]
    assert sum(len(b["batch_sizes"]) * len(b["seeds"]) for b in blocks) == 90 * 1200
    assert {key.partition(":")[0] for key in tags} == {
        "sweep.expected.small",
        "sweep.trials.small",
        "sweep.grid.small",
    }
    ids = [i for key in tags if ".trials." in key for i in json.loads(tags[key])]
    assert ids == [trial.trial_id for trial in grid.trials]


def test_every_tag_of_a_large_grid_is_one_that_mlflow_takes() -> None:
    grid = load(**factors(batch_size=[16], seed=2000))
    tags = experiment_tags(grid)
    assert len(tags) > 1
    tracker = Tracker(grid)
    experiment = tracker.client.get_experiment(tracker.link.experiment_id)
    assert tags.items() <= experiment.tags.items()
    asked = {key: text for key, text in tags.items() if key.startswith("sweep.trials.")}
    ids = [trial_id for text in asked.values() for trial_id in json.loads(text)]
    assert ids == [trial.trial_id for trial in grid.trials]
    assert len(asked) == 16  # 4,000 ids of 15 characters each, 266 to a tag


def test_a_grid_that_has_shrunk_empties_the_further_parts_of_its_tags(query: Query) -> None:
    Tracker(load(**factors(batch_size=[16], seed=400)))
    large = dict(query("select key, value from experiment_tags"))
    assert json.loads(large["sweep.trials.small:2"])
    grid = load(**factors(batch_size=[16], seed=1))
    Tracker(grid)
    small = dict(query("select key, value from experiment_tags"))
    further = {text for key, text in small.items() if key.startswith("sweep.") and ":" in key}
    assert further == {"[]"}
    assert json.loads(small["sweep.trials.small"]) == [trial.trial_id for trial in grid.trials]
