"""Which cells an error stops, and when it ends the sweep: by hand-made orders of events."""

from __future__ import annotations

from small_grids import board, factors, load, record_of

from sweep.execution.repeated_errors import Stop
from sweep.execution.state import SweepState
from sweep.grid.expand import GridTrial
from trainables.spec import Outcome

BUG = "Traceback\nRuntimeError: a bug"


def of(state: SweepState, cell: str) -> list[GridTrial]:
    return [trial for trial in state.plan.grid.trials if trial.cell_name == cell]


def fail(state: SweepState, trial: GridTrial, error: str = BUG, epochs: int = 0) -> None:
    state.report(trial.trial_id, epochs, None, 1.0, Outcome.FAILED, error)


def complete(state: SweepState, trial: GridTrial) -> None:
    state.report(trial.trial_id, 3, 50.0, 1.0, Outcome.COMPLETED, None)


def test_three_equal_errors_of_one_cell_stop_the_cell_and_not_the_sweep() -> None:
    state = board(load(**factors(seed=5)))
    bad = of(state, "groupnorm-bs008")
    for trial in bad[:2]:
        fail(state, trial)
    assert state.repeated.stops() == []
    fail(state, bad[2])
    assert state.repeated.stops() == [Stop(BUG, ("groupnorm-bs008",))]
    assert not state.is_stopping
    assert [line for line in state.notices if "groupnorm-bs008 is stopped" in line] != []


def test_different_errors_stop_nothing() -> None:
    state = board(load(**factors(seed=5)))
    for number, trial in enumerate(of(state, "groupnorm-bs008")):
        fail(state, trial, error=f"error {number // 2}")
    assert state.repeated.stops() == []


def test_an_error_of_one_norm_stops_each_of_its_cells_once_and_no_other() -> None:
    state = board(load(**factors(seed=5)))
    small, large = of(state, "groupnorm-bs008"), of(state, "groupnorm-bs016")
    for trial in (small[0], large[0], small[1]):
        fail(state, trial)
    (stop,) = state.repeated.stops()
    assert sorted(stop.cells) == ["groupnorm-bs008", "groupnorm-bs016"]
    assert not state.is_stopping


def test_a_cell_with_a_result_goes_on() -> None:
    state = board(load(**factors(seed=5)))
    cell = of(state, "groupnorm-bs008")
    complete(state, cell[0])
    for trial in cell[1:4]:
        fail(state, trial)
    assert state.repeated.stops() == []


def test_a_cell_with_a_trial_that_has_come_further_goes_on() -> None:
    state = board(load(**factors(seed=5)))
    cell = of(state, "groupnorm-bs008")
    state.report(cell[0].trial_id, 2, 50.0, 1.0, None, None)
    for trial in cell[1:4]:
        fail(state, trial, epochs=1)
    assert state.repeated.stops() == []


def test_an_error_of_every_kind_of_trial_ends_the_sweep() -> None:
    state = board(load(**factors(seed=5)))
    for cell in ("groupnorm-bs008", "groupnorm-bs016"):
        fail(state, of(state, cell)[0])
    assert not state.is_stopping
    fail(state, of(state, "batchnorm-bs008")[0])
    assert state.is_stopping
    assert state.repeated.stops() == [Stop(BUG, (), is_sweep=True)]


def test_an_error_ends_no_sweep_in_which_something_has_a_result() -> None:
    grid = load(**factors(seed=5))
    state = board(grid, record_of(grid.trials[0], 3, Outcome.COMPLETED))
    for cell in ("groupnorm-bs008", "groupnorm-bs016", "batchnorm-bs008"):
        fail(state, of(state, cell)[1])
    assert not state.is_stopping
    (stop,) = state.repeated.stops()
    assert len(stop.cells) == 3


def test_a_sweep_of_one_cell_ends_with_the_third_error() -> None:
    state = board(load(**factors(norm=["groupnorm"], batch_size=[8], seed=5)))
    for trial in of(state, "groupnorm-bs008")[:3]:
        fail(state, trial)
    assert state.is_stopping
