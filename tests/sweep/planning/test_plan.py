from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_grids import change_epoch, factors, load, make_plan, record_of, save

from sweep.planning.trial_states import save_expected
from sweep.records.record import RecordDamagedError
from trainables.spec import Outcome


def test_reading_a_plan_writes_nothing() -> None:
    plan = make_plan(load())
    assert len(plan.missing()) == len(plan.grid.trials) == 8
    assert not Path("runs").exists()


def test_every_cell_gets_one_seed_before_any_gets_two_and_the_longest_goes_first() -> None:
    plan = make_plan(load(**factors(batch_size=[16, 4, 8], seed=[3, 1])))
    order = [(trial.spec.seed, trial.spec.batch_size) for trial in plan.missing()]
    assert order == [(seed, size) for seed in (3, 1) for size in (4, 4, 8, 8, 16, 16)]


def test_the_longest_is_judged_by_what_was_measured_and_by_what_is_left() -> None:
    grid = load(**factors(seed=1), train={"epochs": 4})
    trials = {(t.norm, t.spec.batch_size): t for t in grid.trials}
    slow, begun = record_of(trials["groupnorm", 16], 1), record_of(trials["batchnorm", 8], 3)
    change_epoch(slow, 1, train_s=60.0)
    order = [(t.norm, t.spec.batch_size) for t in save(grid, slow, begun).missing()]
    assert order == [("groupnorm", 8), ("groupnorm", 16), ("batchnorm", 16), ("batchnorm", 8)]


def test_what_has_an_outcome_is_done_unless_it_is_to_be_tried_again() -> None:
    grid = load()
    records = [record_of(t, 3, outcome) for t, outcome in zip(grid.trials, Outcome, strict=False)]
    plan = save(grid, *records, record_of(grid.trials[4], 2))
    assert len(plan.missing()) == 4
    assert grid.trials[4] in plan.missing()
    assert [plan.outcome(t) for t in grid.trials[:5]] == [*Outcome, None]
    assert [plan.epochs_done(t) for t in grid.trials[3:6]] == [3, 2, 0]
    assert plan.num(Outcome.FAILED, Outcome.OUT_OF_MEMORY) == 2

    again = make_plan(grid, [Outcome.FAILED])
    failed = grid.trials[list(Outcome).index(Outcome.FAILED)]
    assert again.outcome(failed) is None
    assert set(again.missing()) - set(plan.missing()) == {failed}
    assert again.num(Outcome.FAILED) == 0


def test_a_grown_grid_misses_only_what_is_new() -> None:
    grid = load()
    save(grid, *(record_of(trial, 3, Outcome.COMPLETED) for trial in grid.trials))
    grown = make_plan(load(**factors(seed=3, batch_size=[16, 8, 4])))
    assert len(grown.missing()) == 2 * (9 - 4)
    assert not {t.trial_id for t in grown.missing()} & {t.trial_id for t in grid.trials}


def test_a_damaged_record_is_not_passed_over() -> None:
    grid = load()
    plan = save(grid, record_of(grid.trials[0], 1))
    plan.folder.trial(grid.trials[0].trial_id).storage.write("record.json", b"{")
    with pytest.raises(RecordDamagedError, match=grid.trials[0].trial_id):
        make_plan(grid)


def test_the_sweeps_file_says_what_is_expected_and_what_it_is_called() -> None:
    norms = ["groupnorm", {"name": "groupnorm", "num_groups": 8}]
    further = {"train.optimizer.lr": [0.1]}
    grid = load(**factors(norm=norms, seed=1, **further), reference="groupnorm")
    save_expected(make_plan(grid))
    found = json.loads(Path("runs/small/sweep.json").read_text())
    trials = found.pop("trials")
    assert found == {
        "name": "small",
        "experiment": "small",
        "reference": "groupnorm",
        "left_out": [],
        "grid": {"digest": grid.digest, "changes": ""},
    }
    assert [trial["trial_id"] for trial in trials] == [trial.trial_id for trial in grid.trials]
    assert trials[2] == {
        "trial_id": grid.trials[2].trial_id,
        "norm": "groupnorm(num_groups=8)",
        "batch_size": 16,
        "seed": 0,
        "variant": "train.optimizer.lr=0.1",
    }
