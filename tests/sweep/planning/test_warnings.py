from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small_grids import factors, load

from sweep.display.observer import live_display
from sweep.grid.preset_changes import Preset
from sweep.grid.presets import apply_preset
from sweep.pipeline import try_cells
from sweep.planning.warnings import grid_notes, missing_data_notes


def trained(**changes: Any) -> dict[str, Any]:
    return {"train": {"epochs": 3, **changes}}


def test_a_plain_grid_has_none() -> None:
    assert grid_notes(load()) == []


def test_milestones_after_the_last_epoch_are_without_effect() -> None:
    schedule = {"name": "multistep", "milestones": [2, 3, 80]}
    (line,) = grid_notes(load(**trained(schedule=schedule)))
    assert line == (
        "train.schedule.milestones: the rate drops after an epoch, and there are 3: "
        "3, 80 is without effect"
    )
    assert not grid_notes(load(**trained(schedule={"name": "multistep", "milestones": [1, 2]})))


def test_a_gamma_that_no_schedule_reads_is_without_effect() -> None:
    (line,) = grid_notes(load(**trained(schedule={"name": "constant", "gamma": 0.5})))
    assert line.startswith("train.schedule.gamma: 0.5 is without effect")
    assert line.endswith("the schedule is constant")


def test_a_reference_batch_size_that_scales_no_rate_is_without_effect() -> None:
    (line,) = grid_notes(load(**trained(reference_batch_size=32)))
    assert line.startswith("train.reference_batch_size: 32 is without effect, since train.lr_scal")
    assert not grid_notes(load(**trained(reference_batch_size=32, lr_scaling="linear")))
    crossed = factors(**{"train.lr_scaling": ["none", "sqrt"]})
    assert not grid_notes(load(**trained(reference_batch_size=32), **crossed))


def test_what_keeps_steps_from_being_compiled_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: dict[str, Any] = {"resources": {"compile": "auto"}}
    monkeypatch.setenv("CXX", "true")
    assert not grid_notes(load(**wanted))
    watched = trained(watch="stem")
    assert not grid_notes(load(**watched))
    (line,) = grid_notes(load(**watched, **wanted))
    assert line.startswith("resources.compile is without effect where `watch` reads a layer")
    monkeypatch.setenv("CXX", "no-such-compiler")
    (line,) = grid_notes(load(**wanted))
    assert "on this machine: there is no C++ compiler (no-such-compiler" in line


def test_a_threshold_below_one_percent_may_be_a_fraction() -> None:
    (line,) = grid_notes(load(**trained(threshold=0.4)))
    assert line == (
        "train.threshold: 0.4 is 0.4 % of the test images; write 40 if you mean that share"
    )
    assert not grid_notes(load(**trained(threshold=1.5)))


def test_norms_that_are_one_in_this_network_are_named_with_their_batch_sizes() -> None:
    norms = ["instancenorm", "groupnorm", {"name": "groupnorm", "num_groups": 2}]
    (line,) = grid_notes(load(**factors(norm=norms)))
    assert line == (
        "instancenorm and groupnorm are one and the same computation at batch sizes 16, 8"
    )


def test_cells_that_accumulate_nothing_are_one() -> None:
    lines = grid_notes(load(**factors(**{"train.optimizer_batch_size": [None, 16]})))
    name = "train.optimizer_batch_size"
    assert lines == [
        f"{norm} ({name}=null) and {norm} ({name}=16) are one and the same computation at "
        "batch size 16"
        for norm in ("batchnorm", "groupnorm")
    ]


def test_the_small_preset_keeps_norms_apart_that_the_full_one_keeps_apart() -> None:
    norms = ["instancenorm", "groupnorm", "layernorm", "assocnorm"]
    norms += [{"name": "assocnorm", "key_features": "channel"}]  # type: ignore[list-item]
    grid = load(**factors(norm=norms), model={"name": "resnet101"}, data={"name": "cifar10"})
    assert not grid_notes(apply_preset(grid, Preset.SMALL))


def test_data_that_are_not_there_are_named_with_their_place(tmp_path: Path) -> None:
    data = {"name": "cifar100", "root": str(tmp_path)}
    (line,) = missing_data_notes(load(data=data))
    assert line == f"the files of cifar100 are not in {tmp_path}: with `run` they are downloaded"
    assert not missing_data_notes(load())


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_checked_is_said_before_it_is_done(terminal: bool) -> None:
    console = Console(record=True, force_terminal=terminal, width=100)
    with live_display(console) as on_event:
        try_cells(load(**trained(threshold=0.4)), on_event)
    lines = console.export_text().splitlines()
    assert (lines[0] == "checking 4 cells") is not terminal
    assert lines[-1].startswith("note: train.threshold: 0.4")


def test_norms_that_differ_in_tests_alone_are_told_once() -> None:
    norms = ["batchnorm", *({"name": "batchnorm", "momentum": m} for m in (0.01, 0.003))]
    statistics = {"eval_statistics": ["ema", "precise", "batch"]}
    (line,) = grid_notes(load(**factors(norm=[*norms, "groupnorm"]), **trained(**statistics)))
    assert line == (
        "batchnorm and batchnorm(momentum=0.01) and batchnorm(momentum=0.003) differ in momentum "
        "alone, which training does not use: at batch sizes 16, 8 they are trained to the same "
        "weights, and all of a difference between them arises at test time"
    )
