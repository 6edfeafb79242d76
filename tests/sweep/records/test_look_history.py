"""The file of the looks: read as it was written, and refused where it was damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_looks import SEEDS, make_history
from small_grids import factors, load

from sweep.planning.trial_states import sweep_folder
from sweep.records.look_history import OPEN, LookHistory, load_looks, save_looks
from sweep.records.record import RecordDamagedError

LEVEL, ROBUSTNESS = ("groupnorm", "level"), ("groupnorm", "robustness")
FILE = Path("runs/small/looks.json")


@pytest.fixture
def history() -> LookHistory:
    grid = load(**factors(seed=SEEDS, batch_size=[16, 8, 4]))
    return make_history(grid, {LEVEL: "different", ROBUSTNESS: OPEN}, {ROBUSTNESS: OPEN})


def test_looks_are_read_as_they_were_written(history: LookHistory) -> None:
    folder = sweep_folder(load(**factors(seed=SEEDS)))
    assert load_looks(folder) is None
    save_looks(folder, history)
    assert load_looks(folder) == history


def test_a_contrast_stands_as_its_latest_look_left_it(history: LookHistory) -> None:
    found = {key: (at, item.decision) for key, (at, item) in history.latest().items()}
    assert found == {("", *LEVEL): (3, "different"), ("", *ROBUSTNESS): (4, OPEN)}
    assert not history.is_over


def test_only_open_contrasts_need_cells(history: LookHistory) -> None:
    for num_seeds in (3, 4):
        needed = history.cells_needed_after(num_seeds)
        assert needed == {("", n, b) for n in ("batchnorm", "groupnorm") for b in (16, 4)}
    assert not history.cells_needed_after(5)  # before the look


def test_it_is_over_when_all_is_decided_or_seeds_are_used_up() -> None:
    grid = load(**factors(seed={**SEEDS, "to": 3}, batch_size=[16, 8, 4]))
    used_up = make_history(grid, {LEVEL: OPEN, ROBUSTNESS: OPEN})
    assert used_up.is_over
    assert not used_up.cells_needed_after(3)
    grid = load(**factors(seed=SEEDS, batch_size=[16, 8, 4]))
    decided = make_history(grid, {LEVEL: "different", ROBUSTNESS: "equivalent"})
    assert decided.is_over
    assert not decided.cells_needed_after(3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "has version 2; update the program"),
        ({"looks": []}, "holds no look; put back a copy"),
        ({"rule": {}}, r"rule.first: Field required; put back a copy"),
        ({"later": 1}, "later: Extra inputs are not permitted"),
    ],
)
def test_a_damaged_file_is_named(
    history: LookHistory, change: dict[str, object], said: str
) -> None:
    folder = sweep_folder(load(**factors(seed=SEEDS)))
    save_looks(folder, history)
    FILE.write_text(json.dumps({**json.loads(FILE.read_text()), **change}))
    with pytest.raises(RecordDamagedError, match=said) as caught:
        load_looks(folder)
    assert str(caught.value).startswith(str(FILE.absolute()))


def test_half_a_file_is_named(history: LookHistory) -> None:
    folder = sweep_folder(load(**factors(seed=SEEDS)))
    save_looks(folder, history)
    FILE.write_bytes(FILE.read_bytes()[:100])
    with pytest.raises(RecordDamagedError, match="put back a copy"):
        load_looks(folder)
