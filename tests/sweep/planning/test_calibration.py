from __future__ import annotations

import pytest
from small_grids import factors, load

from sweep.grid.expand import GridTrial
from sweep.grid.variant import Variant
from sweep.planning import calibration
from sweep.planning.cost import cell_of
from sweep.planning.plan import make_plan, sweep_folder


def test_every_cell_is_timed_once_and_the_plan_knows() -> None:
    grid = load(**factors(norm=["batchnorm"], batch_size=[16, 8], seed=3))
    assert not make_plan(grid).costs.is_measured
    seen: list[GridTrial] = []
    times = calibration.time_cells(grid, seen.append, pytest.fail)
    assert [cell_of(trial) for trial in seen] == [
        ("batchnorm", Variant(), 16),
        ("batchnorm", Variant(), 8),
    ]
    assert set(times) == {cell_of(trial) for trial in grid.trials}
    assert all(0 < time.epoch_s == time.alone_s for time in times.values())
    calibration.save(sweep_folder(grid), times)
    costs = make_plan(grid).costs
    assert costs.is_measured
    assert {costs.epoch_s(trial) for trial in grid.trials} == {t.epoch_s for t in times.values()}
    assert make_plan(grid).saved() is None


@pytest.mark.parametrize("wanted", ["auto", 2])
def test_what_seeds_side_by_side_save_is_reckoned(wanted: str | int) -> None:
    resources = {"seeds_per_trainable": wanted}
    grid = load(**factors(norm=["batchnorm"], batch_size=[2], seed=4), resources=resources)
    assert make_plan(grid).saved() is None
    times = calibration.time_cells(grid, lambda _: None, pytest.fail)
    calibration.save(sweep_folder(grid), times)
    (time,) = times.values()
    assert make_plan(grid).saved() == pytest.approx(1 - time.epoch_s / time.alone_s)


def test_a_cell_that_fails_is_named_once_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no such kernel\nand much more")

    monkeypatch.setattr("trainables.timing.time_epoch", fails)
    grid = load(**factors(norm=["batchnorm"], batch_size=[16], seed=2))
    lines: list[str] = []
    assert calibration.time_cells(grid, lambda _: None, lines.append) == {}
    (line,) = lines
    assert line.startswith("batchnorm-bs016-s0 could not be timed: ")
    assert "no such kernel" in line


def test_times_that_cannot_be_read_are_none() -> None:
    grid = load()
    folder = sweep_folder(grid)
    assert calibration.load(folder, grid.trials) == {}
    for content in (b"", b"{", b"[1]", b'[{"norm": "a"}]', b"\xff"):
        folder.storage.write(calibration.TIMES, content)
        assert calibration.load(folder, grid.trials) == {}
