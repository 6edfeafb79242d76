"""Losses of workers, as the driver sees them: from checkpoints on the disk, in a given order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial

from sweep.execution.worker_losses import LOST_WORKERS, Losses
from sweep.records.record import SweepFolder
from sweep.records.storage import Storage
from sweep.resources.ray_compat import decide_recovery_by


@pytest.fixture
def losses() -> Losses:
    return Losses(SweepFolder(Storage.at("runs/small")))


def get_further(losses: Losses, trial_id: str, epoch: int, steps: int) -> None:
    losses.folder.trial(trial_id).save_checkpoint(epoch, steps, b"weights")


def test_losses_without_progress_add_up(losses: Losses) -> None:
    assert [losses.count(["a"]) for _ in range(5)] == [1, 2, 3, 4, 5]


def test_a_trial_that_gets_further_each_time_never_has_more_than_one(losses: Losses) -> None:
    for steps in range(0, 40, 2):
        get_further(losses, "a", steps // 10, steps)
        assert losses.count(["a"]) == 1


def test_progress_before_the_last_loss_that_is_allowed_is_progress(losses: Losses) -> None:
    get_further(losses, "a", 0, 10)
    assert [losses.count(["a"]) for _ in range(LOST_WORKERS)] == [1, 2, 3]
    get_further(losses, "a", 0, 20)
    assert losses.count(["a"]) == 1
    assert losses.count(["a"]) == 2


def test_a_trial_that_is_put_back_to_an_earlier_point_has_not_come_further(losses: Losses) -> None:
    get_further(losses, "a", 2, 0)
    losses.count(["a"])
    losses.folder.trial("a").delete_checkpoints()
    get_further(losses, "a", 1, 0)
    assert losses.count(["a"]) == 2


def test_of_several_seeds_side_by_side_one_that_gets_further_is_enough(losses: Losses) -> None:
    assert losses.count(["a", "b"]) == 1
    assert losses.count(["a", "b"]) == 2
    get_further(losses, "b", 0, 5)
    assert losses.count(["a", "b"]) == 1


def test_within_the_block_the_judge_decides_and_afterwards_tune_does() -> None:
    asked: list[Any] = []

    def judge(trial: Any) -> bool:
        asked.append(trial)
        return False

    tune: Any = Trial
    trial = object.__new__(Trial)
    trial.run_metadata, trial.max_failures = SimpleNamespace(num_failures=1), 3
    with decide_recovery_by(judge):
        assert not tune.should_recover(trial)
    assert asked == [trial]
    assert tune.should_recover(trial)
    assert not getattr(RayActorError(), "preempted", True)  # what Ray calls it
