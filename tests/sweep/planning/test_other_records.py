from __future__ import annotations

from pathlib import Path

from small_grids import load, make_plan, record_of, save

from sweep.planning.other_records import other_record_notes, other_seeding_warnings
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


def test_records_of_the_other_seeding_are_named_with_what_goes_on_with_them() -> None:
    before = load(seeding="per_seed")
    save(before, *(record_of(trial, 3, Outcome.COMPLETED) for trial in before.trials[:5]))
    plan = make_plan(load())
    assert other_seeding_warnings(plan) == [
        "5 of this grid's 8 trials have a record with `seeding: per_seed`, as earlier versions "
        "trained, and are missing with `seeding: per_cell`; `--set seeding=per_seed`, or "
        "`seeding: per_seed` in the grid, goes on with them instead of training them anew"
    ]
    assert other_record_notes(plan) == []
    assert other_seeding_warnings(make_plan(before)) == []


def test_one_record_of_the_new_seeding_is_named_to_a_grid_of_the_old_one() -> None:
    before = load()
    save(before, record_of(before.trials[0], 3, Outcome.COMPLETED))
    (line,) = other_seeding_warnings(make_plan(load(seeding="per_seed")))
    assert line == (
        "1 of this grid's 8 trials has a record with `seeding: per_cell`, and is missing with "
        "`seeding: per_seed`; `--set seeding=per_cell`, or `seeding: per_cell` in the grid, goes "
        "on with it instead of training it anew"
    )


def test_records_of_the_other_seeding_are_other_settings_once_the_trials_have_their_own() -> None:
    before = load(seeding="per_seed")
    save(before, *(record_of(trial, 3, Outcome.COMPLETED) for trial in before.trials))
    now = load()
    plan = save(now, *(record_of(trial, 3, Outcome.COMPLETED) for trial in now.trials))
    assert other_seeding_warnings(plan) == []
    (line,) = other_record_notes(plan)
    assert "8 trials of other settings than this grid's (seeding per_seed, now per_cell)" in line
