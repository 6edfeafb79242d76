from __future__ import annotations

from pathlib import Path

import pytest
from small_grids import factors, feasible, load

from sweep.errors import RefusedError
from sweep.grid.model import Grid
from sweep.planning.feasibility import check_feasibility, find_infeasible_cells, require_data
from trainables import data
from trainables.errors import DataUnavailable

PICKY = """
from torch import nn

class Picky(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(1, num_channels)

    def forward(self, x):
        if len(x) == 1:
            raise ValueError("one example is not enough")
        return super().forward(x)
"""
STARVED = factors(norm=["picky_layers:Picky", "groupnorm"], batch_size=[1, 4], seed=2)


@pytest.fixture(autouse=True)
def picky_layers() -> None:
    Path("picky_layers.py").write_text(PICKY)


def cells(grid: Grid) -> set[tuple[str, int]]:
    return {(trial.norm, trial.spec.batch_size) for trial in grid.trials}


def test_a_feasible_grid_is_left_as_it_is() -> None:
    grid = load()
    assert check_feasibility(grid) == feasible(grid)


def test_every_infeasible_cell_is_named_with_the_layer() -> None:
    grid = load(**STARVED)
    with pytest.raises(RefusedError) as caught:
        check_feasibility(grid)
    cell, hint = caught.value.messages
    assert cell.startswith("grid.yaml: picky_layers:Picky at batch size 1: ")
    assert "(Picky) cannot take an input of shape (1, " in cell
    assert "one example is not enough" in cell
    assert hint == "grid.yaml: exclude these cells, or set `infeasible: skip`"


def test_infeasible_cells_are_skipped_with_all_their_seeds_where_the_grid_says_so() -> None:
    grid = load(**STARVED, infeasible="skip")
    kept = check_feasibility(grid)
    assert cells(grid) - cells(kept) == {("picky_layers:Picky", 1)}
    assert len(kept.trials) == 6
    (line,) = kept.skipped
    assert line.startswith("picky_layers:Picky at batch size 1: ")
    (left_out,) = kept.left_out
    assert (left_out.norm, left_out.batch_sizes) == ("picky_layers:Picky", (1,))
    assert "one example is not enough" in left_out.why


def test_a_grid_of_which_nothing_is_left_is_refused() -> None:
    only = factors(norm=["picky_layers:Picky"], batch_size=[1], seed=1)
    with pytest.raises(RefusedError, match="no cell of the grid can run"):
        check_feasibility(load(**only, infeasible="skip"))


def test_a_batch_larger_than_the_training_set() -> None:
    (reason,) = find_infeasible_cells(
        load(**factors(norm=["groupnorm"], batch_size=[65])).trials
    ).values()
    assert reason[0].name == "groupnorm-bs065-s0"
    assert "batch_size=65 and num_train=64" in reason[1]


def test_data_are_downloaded_once_and_only_where_they_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grid = load(**factors(**{"data.name": ["digits", "cifar10"]}), data={"root": "sets"})
    asked: list[tuple[str, str, str | None]] = []

    def is_available(name: str, root: str | None) -> bool:
        asked.append(("available", name, root))
        return name == "digits"

    def download(name: str, root: str | None) -> None:
        asked.append(("download", name, root))
        raise DataUnavailable(f"{name} cannot be had")

    monkeypatch.setattr(data, "is_available", is_available)
    monkeypatch.setattr(data, "download", download)
    with pytest.raises(RefusedError, match=r"^cifar10 cannot be had$"):
        require_data(grid, download=True)
    root = str(Path.cwd() / "sets")
    assert asked == [
        ("available", "digits", root),
        ("available", "cifar10", root),
        ("download", "cifar10", root),
    ]


def test_damaged_data_are_refused_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(b"half a downlo")
    grid = load(data={"name": "cifar100", "root": str(tmp_path)})
    with pytest.raises(RefusedError) as caught:
        require_data(grid, download=True)
    (line,) = caught.value.messages
    assert "cifar-100-python/train is damaged" in line
    assert "remove cifar-100-python/ there" in line
    assert "download=True" not in line


def test_a_network_beyond_all_bounds_is_infeasible() -> None:
    """torch raises while it counts the bytes of a weight."""
    grid = load(model={"name": "resnet8", "width": 10**11})
    with pytest.raises(RefusedError, match="the network cannot be built: Storage size"):
        check_feasibility(grid)
