from __future__ import annotations

import pytest
from small_grids import factors, load

from sweep import calibration
from sweep.cost import cell
from sweep.grid.expansion import GridTrial
from sweep.plan import folder_of, make_plan


def test_every_cell_is_timed_once_and_the_plan_knows() -> None:
    grid = load(**factors(norm=["batchnorm"], batch_size=[16, 8], seed=3))
    assert not make_plan(grid).costs.is_measured
    seen: list[GridTrial] = []
    times = calibration.calibrate(grid, seen.append, pytest.fail)
    assert [cell(trial) for trial in seen] == [("batchnorm", "", 16), ("batchnorm", "", 8)]
    assert set(times) == {cell(trial) for trial in grid.trials}
    assert all(seconds > 0 for seconds in times.values())
    calibration.save(folder_of(grid), times)
    costs = make_plan(grid).costs
    assert costs.is_measured
    assert {cell(trial): costs.epoch_s(trial) for trial in grid.trials} == times


def test_a_cell_that_fails_is_named_once_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no such kernel\nand much more")

    monkeypatch.setattr("trainables.timing.time_epoch", fails)
    grid = load(**factors(norm=["batchnorm"], batch_size=[16], seed=2))
    lines: list[str] = []
    assert calibration.calibrate(grid, lambda _: None, lines.append) == {}
    (line,) = lines
    assert line.startswith("batchnorm-bs016-s0 could not be timed: ")
    assert "no such kernel" in line


def test_times_that_cannot_be_read_are_none() -> None:
    grid = load()
    folder = folder_of(grid)
    assert calibration.load(folder) == {}
    for content in (b"", b"{", b"[1]", b'[{"norm": "a"}]', b"\xff"):
        folder.storage.write(calibration.TIMES, content)
        assert calibration.load(folder) == {}
