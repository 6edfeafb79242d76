"""What `run` says of the trials that it goes on with is what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from small_grids import factors, load, record_of, save

from sweep.planning.plan import Plan
from sweep.planning.resumption import Resumption, count_resumed_trials

LAYER = """
from torch import nn

class Mine(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(2, num_channels)
"""


def begun(source: str | None, num_checkpoints: int) -> Plan:
    """Four trials of an own layer, of which two were begun when its source was this."""
    Path("mine_now.py").write_text(LAYER)
    grid = load(**factors(norm=["mine_now:Mine"], batch_size=[8], seed=4))
    records = [record_of(trial, 1) for trial in grid.trials[:2]]
    for record in records:
        if source is not None:
            record.attempts[-1] = replace(record.attempts[-1], source=source)
    plan = save(grid, *records)
    for record in records[:num_checkpoints]:
        plan.folder.trial(record.trial_id).save_checkpoint(1, 0, b"weights")
    return plan


def test_what_has_a_checkpoint_goes_on_from_it() -> None:
    assert count_resumed_trials(begun(None, 2)) == Resumption(0, 2, 0, 2)


def test_what_was_killed_before_its_first_checkpoint_begins_at_the_beginning() -> None:
    assert count_resumed_trials(begun(None, 1)) == Resumption(0, 1, 0, 3)


def test_what_was_begun_with_another_source_begins_again_and_one_line_says_so() -> None:
    found = count_resumed_trials(begun("another", 2))
    assert (found.num_resumed, found.num_restarted, found.num_new) == (0, 2, 2)
    assert found.restart_reasons == ("the source of mine_now:Mine has changed",)


def test_a_sweep_without_checkpoints_or_outcomes_was_not_begun() -> None:
    assert not count_resumed_trials(begun(None, 0)).was_begun
    assert count_resumed_trials(begun(None, 1)).was_begun
