from __future__ import annotations

from pathlib import Path

from small_grids import load, make_plan, record_of, save

from sweep.planning.other_records import other_record_notes
from trainables.spec import Outcome


def test_trials_of_a_setting_that_was_changed_are_named_with_both_values() -> None:
    before = load(train={"epochs": 1})
    save(before, *(record_of(trial, 1, Outcome.COMPLETED) for trial in before.trials))
    assert other_record_notes(make_plan(before)) == []
    (line,) = other_record_notes(make_plan(load(train={"epochs": 2})))
    assert line == (
        f"8 trials of other settings than this grid's (train.epochs 1, now 2) are in "
        f"{Path('runs/small/trials').absolute()}; they are kept, and are no part of this sweep's "
        f"results"
    )


def test_the_same_trials_under_another_name_are_named_with_what_goes_on_with_them() -> None:
    first = load()
    save(first, *(record_of(trial, 3, Outcome.COMPLETED) for trial in first.trials[:3]))
    (line,) = other_record_notes(make_plan(load(name="again")))
    assert line == (
        "3 of the 8 trials without a record are (3 with an outcome) in the sweep small too; "
        "`--set name=small` goes on with them instead of training them again"
    )


def test_a_new_sweep_and_a_finished_one_have_neither() -> None:
    grid = load()
    assert other_record_notes(make_plan(grid)) == []
    save(load(name="again"), record_of(grid.trials[0], 3, Outcome.COMPLETED))
    plan = save(grid, *(record_of(trial, 3, Outcome.COMPLETED) for trial in grid.trials))
    assert other_record_notes(plan) == []
