"""Warnings of cells that see other amounts of training; the figures are counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
from small_grids import factors, load

from sweep.planning.unequal_training import unequal_training_warnings

ALL_DIGITS = {"data": {"name": "digits"}}


def test_the_images_of_an_epoch_are_told_where_a_last_short_batch_is_dropped() -> None:
    """1,437 = 2 * 512 + 413 = 22 * 64 + 29 = 718 * 2 + 1."""
    grid = load(**factors(norm=["groupnorm"], batch_size=[512, 64, 2]), **ALL_DIGITS)
    (line,) = unequal_training_warnings(grid)
    assert line == (
        "digits: of 1,437 training images an epoch has 1,024 at batch size 512, 1,408 at batch "
        "size 64 and 1,436 at batch size 2, since a last short batch is dropped; "
        "`data: {num_train: 1024}` gives every cell the same"
    )
    alike = {"data": {"name": "digits", "num_train": 1024}}
    assert not unequal_training_warnings(
        load(**factors(norm=["groupnorm"], batch_size=[512, 2]), **alike)
    )


def test_accumulated_gradients_drop_whole_optimizer_steps() -> None:
    train = {"epochs": 1, "optimizer_batch_size": 512}
    levels = factors(norm=["groupnorm"], batch_size=[512, 2])
    assert not unequal_training_warnings(load(**levels, **ALL_DIGITS, train=train))


def test_sizes_of_optimizer_steps_are_called_so() -> None:
    """1,437 = 2 * 512 + 413 = 22 * 64 + 29 = 718 * 2 + 1."""
    sizes = {"train.optimizer_batch_size": [512, 64]}
    levels = factors(norm=["groupnorm"], batch_size=[2], **sizes)
    (line,) = unequal_training_warnings(load(**levels, **ALL_DIGITS))
    assert line.startswith(
        "digits: of 1,437 training images an epoch has 1,024 with optimizer_batch_size 512 and "
        "1,408 with 64, since a last incomplete optimizer step is dropped; "
    )
    sizes = {"train.optimizer_batch_size": [None, 512]}
    levels = factors(norm=["groupnorm"], batch_size=[2], **sizes)
    (line,) = unequal_training_warnings(load(**levels, **ALL_DIGITS))
    assert "has 1,436 at batch size 2 and 1,024 with optimizer_batch_size 512, since a last" in line


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("mabn", "mabn: warmup_steps=100 counts batches, and the warm-up never ends at batch"),
        (
            {"name": "batchrenorm", "warmup_steps": 60, "r_ramp_steps": 6, "momentum": 0.1},
            "batchrenorm: r_ramp_steps=6 counts batches after a warm-up of 60, and they never end",
        ),
        (
            {"name": "batchnorm", "momentum": 0.003},
            "batchnorm: momentum=0.003 averages over about 333 batches, so that the averages are",
        ),
    ],
)
def test_counts_in_steps_that_training_does_not_reach(norm: Any, expected: str) -> None:
    """3 epochs of 22 batches are 66 updates."""
    data = {"data": {"name": "digits", "num_train": 1408}}
    grid = load(**factors(norm=[norm], batch_size=[64, 2]), **data)
    (line,) = unequal_training_warnings(grid)
    assert line.startswith(expected)
    assert line.endswith("at batch size 64 (66 batches in all)")


@pytest.mark.parametrize(
    "norm",
    [
        {"name": "batchrenorm", "warmup_steps": 59, "r_ramp_steps": 6, "momentum": 0.1},
        {"name": "batchnorm", "momentum": 0.003, "eval_statistics": "batch"},
        {"name": "batchnorm", "momentum": None},
        "renorm_debias",
        "groupnorm",
    ],
)
def test_what_ends_in_time_or_is_not_used_is_no_warning(norm: Any) -> None:
    data = {"data": {"name": "digits", "num_train": 1408}}
    assert not unequal_training_warnings(load(**factors(norm=[norm], batch_size=[64]), **data))
