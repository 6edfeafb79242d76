"""Several seeds in one worker: each a trial of its own, whatever becomes of the others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_assignments import assignment, folder_of, train, without_times

from sweep.execution.assignment import Assignment
from sweep.execution.trainable import TrialGroup
from sweep.records.lease import hold_lease
from sweep.records.record import Record, SweepFolder
from sweep.records.storage import Storage
from trainables.fused.trials import FusedTrials
from trainables.spec import Outcome

NUM_SEEDS = 4
FAILING = """\
from torch import nn

class Norm(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(2, num_channels)
        self.calls = 0

    def forward(self, x):
        self.calls += self.training and x.device.type != "meta"
        if self.calls > 6:
            raise RuntimeError("a bug")
        return super().forward(x)

    def widened(self, num_networks):
        wide = Norm(num_networks * self.num_channels)
        wide.num_groups = num_networks * self.num_groups
        return wide
"""


def seeds(sweep: str = "runs/small", **changes: Any) -> list[Assignment]:
    given = assignment(sweep, **changes)
    return [replace(given, spec=replace(given.spec, seed=seed)) for seed in range(NUM_SEEDS)]


def records(given: list[Assignment]) -> list[Record]:
    found = [folder_of(each).load() for each in given]
    assert all(found)
    return [record for record in found if record]


def to_the_end(group: TrialGroup) -> None:
    while not group.is_done:
        assert group.step()
    for attempt in group.attempts:
        attempt.writer.settle()


def assert_alike(found: Record, alone: Record) -> None:
    assert found.outcome == alone.outcome
    assert len(found.epochs) == len(alone.epochs)
    for one, other in zip(found.epochs, alone.epochs, strict=True):
        assert one.metrics.num_updates == other.metrics.num_updates
        assert one.metrics.train_loss == pytest.approx(other.metrics.train_loss, rel=1e-2)


@pytest.mark.parametrize("width", [2, 3, 4])
def test_each_seed_has_the_record_that_it_has_alone(width: int) -> None:
    given = seeds(epochs=2, lr=0.001)
    to_the_end(TrialGroup(given, width))
    for each, record in zip(given, records(given), strict=True):
        assert_alike(record, train(replace(each, sweep_uri=os.path.abspath("runs/alone"))))
        assert record.outcome is Outcome.COMPLETED
        assert record.weights_digest
        assert folder_of(each).load_correct()
    widths = [record.fused for record in records(given)]
    assert widths == {2: [2, 2, 2, 2], 3: [3, 3, 3, None], 4: [4, 4, 4, 4]}[width]


def test_one_at_a_time_gives_the_bits_of_each_alone() -> None:
    given = seeds()
    to_the_end(TrialGroup(given, 1))
    for each, record in zip(given, records(given), strict=True):
        alone = train(replace(each, sweep_uri=os.path.abspath("runs/alone")))
        assert without_times(record) == without_times(alone)
        assert record.weights_digest == alone.weights_digest
        assert record.fused is None


def test_those_behind_catch_up_and_a_group_is_resumed_as_any_other() -> None:
    given = seeds(epochs=4, lr=0.001)
    train(given[0], steps=2)
    train(given[1], steps=1)
    group = TrialGroup(given[:3], 4)
    for _ in range(3):
        group.step()
    assert not group.is_done
    to_the_end(TrialGroup([given[3], given[1]], 2))  # the worker was lost
    to_the_end(TrialGroup(given, None))
    for record in records(given):
        assert record.outcome is Outcome.COMPLETED
        assert [epoch.epoch for epoch in record.epochs] == [1, 2, 3, 4]


def test_who_diverges_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given = seeds(epochs=2, lr=0.001)
    group = TrialGroup(given, 4)
    group.step()
    poisoned = group.attempts[2].trial
    assert poisoned is not None
    with torch.no_grad():
        next(poisoned.model.parameters()).fill_(float("nan"))
    to_the_end(group)
    outcomes = [record.outcome for record in records(given)]
    assert outcomes == [Outcome.DIVERGED if i == 2 else Outcome.COMPLETED for i in range(4)]
    assert [len(record.epochs) for record in records(given)] == [2, 2, 1, 2]


def test_a_stop_puts_every_seed_aside_with_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    given = seeds("runs/cut", epochs=3, lr=0.001)
    with hold_lease(SweepFolder(Storage.at("runs/cut"))) as reign:
        group = TrialGroup([replace(each, driver=reign.token) for each in given], 4)
        assert group.step() == group.attempts
        reign.stop()
        reign.renew()
        monkeypatch.setattr("sweep.execution.attempt.ORDER_CHECK_S", 0.0)
        assert group.step() == group.attempts
        assert group.is_done
        assert {attempt.stopped_for for attempt in group.attempts} == {"interrupted"}
    to_the_end(TrialGroup(given, 4))
    for record in records(given):
        assert [attempt.from_epoch for attempt in record.attempts] == [0, 1]
        assert len(record.epochs) == 3


def test_an_error_finds_its_own_trial() -> None:
    Path("failing_layers.py").write_text(FAILING)
    given = seeds(norm="failing_layers:Norm", epochs=4)
    to_the_end(TrialGroup(given, 4))
    for record in records(given):
        assert record.outcome is Outcome.FAILED
        assert record.error is not None
        assert record.error.message == "a bug"
        assert [a.stopped_for for a in record.attempts] == [
            "side by side they failed",
            None,
        ]


def test_what_has_no_memory_side_by_side_goes_on_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    advance = FusedTrials.advance
    stretches = iter(range(100))

    def runs_out(trials: FusedTrials) -> Any:
        if next(stretches) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return advance(trials)

    monkeypatch.setattr(FusedTrials, "advance", runs_out)
    given = seeds(epochs=3, lr=0.001)
    to_the_end(TrialGroup(given, 4))
    for record in records(given):
        assert record.outcome is Outcome.COMPLETED
        assert [epoch.epoch for epoch in record.epochs] == [1, 2, 3]
