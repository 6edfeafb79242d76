from __future__ import annotations

import pytest
from small_grids import board, factors, load, record_of

from sweep.execution.state import SweepState
from sweep.execution.trial_state import TrialState
from sweep.grid.variant import Variant
from trainables.spec import Outcome


def report(
    state: SweepState,
    trial_id: str,
    epochs: int,
    test_error: float | None = 50.0,
    epoch_s: float = 2.0,
    outcome: Outcome | None = None,
    error: str | None = None,
) -> None:
    state.report(trial_id, epochs, test_error, epoch_s, outcome, error)


def test_a_board_begins_with_what_the_records_say() -> None:
    grid = load()
    done, begun = record_of(grid.trials[0], 3, Outcome.COMPLETED), record_of(grid.trials[1], 2)
    state = board(grid, done, begun)
    assert (state.num(), state.num(Outcome.COMPLETED), state.running) == (1, 1, [])
    assert state.states[begun.trial_id].epochs == 2
    assert state.states[begun.trial_id].test_error == begun.last_test_error
    assert state.states[grid.trials[2].trial_id].test_error is None


def test_trials_start_report_and_end() -> None:
    grid = load()
    ended: list[TrialState] = []
    state = board(grid)
    state.on_end = ended.append
    first, second = (trial.trial_id for trial in grid.trials[:2])
    state.start(first)
    state.start(second)
    assert [s.trial.trial_id for s in state.running] == [first, second]
    report(state, first, 1, 40.0)
    assert ended == []
    assert state.states[first].test_error == 40.0
    report(state, first, 3, 30.0, outcome=Outcome.COMPLETED)
    assert [s.trial.trial_id for s in ended] == [first]
    assert [s.trial.trial_id for s in state.running] == [second]
    report(state, second, 0, None, outcome=Outcome.DIVERGED)
    assert (state.num(), state.num(Outcome.DIVERGED), state.running) == (2, 1, [])


def test_a_lost_worker_is_not_an_outcome() -> None:
    grid = load()
    state = board(grid)
    state.start(grid.trials[0].trial_id)
    state.mark_lost(grid.trials[0].trial_id, "no space left")
    assert state.notices == [f"{grid.trials[0].name} was given up: no space left"]
    assert (state.running, state.num()) == ([], 0)


def test_the_time_that_is_left() -> None:
    grid = load(**factors(norm=["batchnorm"], batch_size=[16], seed=4), train={"epochs": 3})
    state = board(grid, slots=2)
    assert state.remaining_s() is None
    first, *_, last = (trial.trial_id for trial in grid.trials)
    report(state, first, 1, epoch_s=10.0)
    assert state.remaining_s() == pytest.approx(60)  # slots: 20 + 30 s, and 30 + 30 s
    for trial in grid.trials[:-1]:
        report(state, trial.trial_id, 3, epoch_s=10.0, outcome=Outcome.COMPLETED)
    assert state.remaining_s() == pytest.approx(30)  # one trial cannot be shared by two slots
    report(state, last, 0, None, epoch_s=0.0, outcome=Outcome.DIVERGED)
    assert state.remaining_s() == 0


def test_an_epoch_that_is_reported_twice_is_learnt_from_once() -> None:
    grid = load()
    state = board(grid)
    trial = grid.trials[0]
    report(state, trial.trial_id, 1, epoch_s=10.0)
    report(state, trial.trial_id, 1, epoch_s=99.0, outcome=Outcome.FAILED)
    assert state.costs.epoch_s(trial) == pytest.approx(10.0)


def test_mean_errors_are_those_of_completed_trials() -> None:
    grid = load(**factors(seed=3))
    state = board(grid)
    cell = [t.trial_id for t in grid.trials if (t.norm, t.spec.batch_size) == ("groupnorm", 8)]
    report(state, cell[0], 3, 10.0, outcome=Outcome.COMPLETED)
    report(state, cell[1], 3, 20.0, outcome=Outcome.COMPLETED)
    report(state, cell[2], 2, 90.0, outcome=Outcome.DIVERGED)
    assert state.mean_errors() == {
        ("groupnorm", Variant()): {8: 15.0},
        ("batchnorm", Variant()): {},
    }
