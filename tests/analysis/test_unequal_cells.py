"""What a report says of cells that were not trained alike; the figures are counted by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from made_up_table import BASE, trials_of

from analysis.reporting.trial_differences import notes
from analysis.reporting.unequal_training import unequal_cells
from analysis.statistics.comparison import build_comparisons

HEADER = f"{BASE},num_epochs,num_updates"


def rows(updates: dict[int, int]) -> list[str]:
    """Two epochs of so many updates a batch size."""
    return [
        f"{norm},{size},{seed},{error + seed / 10},completed,90,digits,cnn,360,2,{number}"
        for norm, error in (("bn", 5), ("gn", 6))
        for size, number in updates.items()
        for seed in range(3)
    ]


def test_images_an_epoch_are_told_where_they_differ_between_batch_sizes(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, rows({512: 4, 2: 1436}), HEADER)
    found = [line for line in notes(trials, build_comparisons(trials)) if "epoch" in line]
    assert found == [
        "An epoch trained on 1,024 images at batch size 512 and 1,436 images at batch size 2, "
        "since a last short batch is dropped: a part of the difference between batch sizes is one "
        "of the amount of data."
    ]


def test_nothing_is_said_where_they_are_alike(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, rows({512: 4, 2: 1024}), HEADER)
    assert not [line for line in notes(trials, build_comparisons(trials)) if "epoch" in line]


def test_norms_that_differ_in_tests_alone_are_said_to(tmp_path: Path) -> None:
    header = f"{BASE},train_loss,weights_digest"
    rows = [
        f"{norm},{size},{seed},{error + seed / 10},completed,90,digits,cnn,360,{loss}{seed},{name}"
        for norm, error, loss, name in (
            ("bn", 5, "0.123", "a"),
            ("bn slow", 7, "0.123", "a"),
            ("gn", 6, "0.2", "b"),
        )
        for size in (16, 2)
        for seed in range(3)
    ]
    trials = trials_of(tmp_path, rows, header)
    (comparison,) = build_comparisons(trials)
    assert comparison.identical_networks == (), "their tests differ"
    found = [line for line in notes(trials, [comparison]) if "test time" in line]
    assert found == [
        "bn and bn slow were trained to the same losses, seed by seed and to the last digit: all "
        "of the difference between them arises at test time."
    ]


def test_an_option_that_was_set_for_some_batch_sizes_is_told(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, rows({16: 4, 2: 32}), HEADER)
    table = trials.trials.set_index("trial_id")
    momentum = ["0.003" if size == 2 else "0.1" for size in table["batch_size"]]
    settings = pd.DataFrame({"norm.momentum": momentum}, index=table.index)
    settings.loc[table["norm"] == "gn", "norm.momentum"] = ""
    found = unequal_cells(build_comparisons(trials), settings)
    assert found == [
        "bn had momentum 0.003 at batch size 2 and 0.1 at batch size 16, and is compared as one "
        "norm."
    ]


def test_so_are_those_of_sections_that_differ_in_the_optimizers_steps(tmp_path: Path) -> None:
    """Two epochs of 1 step of 64, and of 6 steps of 16: 64 and 96 of 100 images an epoch."""
    name = "train.optimizer_batch_size"
    of_step = [
        f"{line},{name}={step}"
        for step, updates in ((64, 2), (16, 12))
        for line in rows({16: updates, 4: updates})
    ]
    trials = trials_of(tmp_path, of_step, f"{HEADER},variant")
    found = [line for line in notes(trials, build_comparisons(trials)) if "epoch" in line]
    assert found == [
        "An epoch trained on 96 images with optimizer steps after 16 examples and 64 images with "
        "optimizer steps after 64 examples, since a last incomplete optimizer step is dropped: a "
        "part of the difference between these sections is one of the amount of data."
    ]
    assert not unequal_cells(build_comparisons(trials)[:1], trials.settings)
