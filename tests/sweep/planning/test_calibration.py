from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import pytest
from small_grids import factors, feasible, load, make_plan

from sweep.grid.expand import GridTrial
from sweep.grid.variant import Variant
from sweep.planning.calibration import TIMES_FILE, load_times, save_times, time_cells
from sweep.planning.cost import cell_of
from sweep.planning.trial_states import sweep_folder


def test_every_cell_is_timed_once_and_the_plan_knows() -> None:
    grid = load(**factors(norm=["batchnorm"], batch_size=[16, 8], seed=3))
    assert not make_plan(grid).costs.is_measured
    seen: list[GridTrial] = []

    def note(trial: GridTrial) -> AbstractContextManager[None]:
        seen.append(trial)
        return nullcontext()

    times = time_cells(feasible(grid), note, pytest.fail)
    assert [cell_of(trial) for trial in seen] == [
        ("batchnorm", Variant(), 16),
        ("batchnorm", Variant(), 8),
    ]
    assert set(times) == {cell_of(trial) for trial in grid.trials}
    assert all(0 < time.epoch_s == time.alone_s for time in times.values())
    save_times(sweep_folder(grid), times)
    costs = make_plan(grid).costs
    assert costs.is_measured
    assert {costs.epoch_s(trial) for trial in grid.trials} == {t.epoch_s for t in times.values()}
    assert make_plan(grid).fusion_saving() is None


@pytest.mark.parametrize("wanted", ["auto", 2])
def test_what_seeds_side_by_side_save_is_reckoned(wanted: str | int) -> None:
    resources = {"seeds_per_trainable": wanted}
    grid = load(**factors(norm=["batchnorm"], batch_size=[2], seed=4), resources=resources)
    assert make_plan(grid).fusion_saving() is None
    times = time_cells(feasible(grid), lambda _: nullcontext(), pytest.fail)
    save_times(sweep_folder(grid), times)
    (time,) = times.values()
    assert make_plan(grid).fusion_saving() == pytest.approx(1 - time.epoch_s / time.alone_s)


def test_a_cell_that_fails_is_named_once_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no such kernel\nand much more")

    monkeypatch.setattr("trainables.timing.time_epoch", fails)
    grid = load(**factors(norm=["batchnorm"], batch_size=[16], seed=2))
    lines: list[str] = []
    assert time_cells(feasible(grid), lambda _: nullcontext(), lines.append) == {}
    (line,) = lines
    assert line.startswith("batchnorm-bs016-s0 could not be timed: ")
    assert "no such kernel" in line


def test_times_that_cannot_be_read_are_none() -> None:
    grid = load()
    folder = sweep_folder(grid)
    assert load_times(folder, grid.trials) == {}
    for content in (b"", b"{", b"[1]", b'[{"norm": "a"}]', b"\xff"):
        folder.storage.write(TIMES_FILE, content)
        assert load_times(folder, grid.trials) == {}
