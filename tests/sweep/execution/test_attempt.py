from __future__ import annotations

import io
import json
import os
import socket
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_assignments import assignment, folder_of, step, train, without_times

from sweep.execution.assignment import Assignment, parse_assignments, trial_ids
from sweep.execution.attempt import Attempt
from sweep.grid.preset_changes import Preset, PresetChanges, Replacement
from sweep.records.attempt_info import TrialError
from sweep.records.record import TrialFolder
from trainables.checkpoint import deserialize_state
from trainables.data import custom as own
from trainables.data import load
from trainables.spec import DataSpec, Outcome, TrialSpec


def states(given: Assignment) -> list[tuple[int, dict[str, Any]]]:
    checkpoints = folder_of(given).checkpoints(up_to=100)
    found = [dict(deserialize_state(content)) for _, content in checkpoints]
    return [(state["epoch"], state) for state in found]


def assert_same_bits(one: Any, other: Any) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same_bits(value, other[key])
    elif isinstance(one, list | tuple):
        for mine, theirs in zip(one, other, strict=True):
            assert_same_bits(mine, theirs)
    else:
        assert one == other


def test_a_trial_is_trained_and_its_record_is_complete() -> None:
    given = assignment()
    record = train(given)
    assert record.outcome is Outcome.COMPLETED
    assert [epoch.epoch for epoch in record.epochs] == [1, 2]
    assert [epoch.metrics.num_updates for epoch in record.epochs] == [4, 8]
    assert all(None not in epoch.values.values() for epoch in record.epochs)
    assert (record.num_classes, record.chance_error) == (10, 90.0)
    assert (record.num_train, record.num_test) == (64, 32)
    assert record.num_parameters is not None
    assert record.num_parameters > 100
    assert record.error is None
    (attempt,) = record.attempts
    assert (attempt.host, attempt.pid) == (socket.gethostname(), os.getpid())
    assert (attempt.device, attempt.from_epoch) == ("cpu", 0)
    assert attempt.ended is not None
    assert attempt.started <= attempt.ended
    assert record.provenance.packages is not None
    assert record.provenance.packages["torch"] == version("torch")
    assert record.spec["norm"]["name"] == "groupnorm"
    assert [epoch for epoch, _ in states(given)] == [2, 1]


def test_a_trial_keeps_which_test_examples_were_right() -> None:
    changes = PresetChanges(Preset.SMALL, (Replacement("seeds", (5,), 3),))
    given = assignment(preset=changes)
    record = train(given, steps=1)
    assert record.edition == "small edition: 3 seeds for 5"
    assert record.preset == changes.to_dict()
    assert folder_of(given).load_correct() is None
    (*_, last) = train(given).epochs
    content = folder_of(given).load_correct()
    assert content is not None
    right = np.unpackbits(np.load(io.BytesIO(content)), count=32)
    assert 100 * (1 - right.mean()) == pytest.approx(last.test_error)


def test_each_epoch_is_committed_before_the_next_begins() -> None:
    given = assignment()
    record = train(given, steps=1)
    assert (len(record.epochs), record.outcome, record.attempts[0].ended) == (1, None, None)
    assert [epoch for epoch, _ in states(given)] == [1]


def test_an_interrupted_trial_goes_on_to_the_same_bits() -> None:
    whole, cut = assignment("runs/whole", epochs=3), assignment("runs/cut", epochs=3)
    at_once = train(whole)
    first = train(cut, steps=1)
    resumed = train(cut)
    assert without_times(resumed) == without_times(at_once)
    assert resumed.epochs[0] == first.epochs[0]
    assert [attempt.from_epoch for attempt in resumed.attempts] == [0, 1]
    assert_same_bits(states(cut), states(whole))


def test_a_layer_that_was_edited_is_not_mixed_with_what_it_was() -> None:
    given = replace(assignment(), source="before")
    step(Attempt(given))
    edited = Attempt(replace(given, source="after"))
    while not edited.is_done:
        step(edited)
    assert edited.notices == []  # the driver says it, once for all trials
    assert [attempt.from_epoch for attempt in edited.record.attempts] == [0, 0]
    assert [attempt.source for attempt in edited.record.attempts] == ["before", "after"]
    assert [epoch.epoch for epoch in edited.record.epochs] == [1, 2]


def test_data_that_have_changed_are_not_mixed_with_what_they_were() -> None:
    Path("pixels").write_text("1")
    Path("own_pixels.py").write_text(PIXELS)
    given = replace(assignment(), spec=on_own_data(assignment().spec))
    attempt = Attempt(given)
    step(attempt)
    own.clear_custom_data_cache()  # as in another process
    load._load_whole.cache_clear()
    Path("pixels").write_text("2")
    later = Attempt(given)
    while not later.is_done:
        step(later)
    assert later.notices == []
    assert [entry.from_epoch for entry in later.record.attempts] == [0, 0]
    before, after = (entry.data for entry in later.record.attempts)
    assert before != after
    assert later.record.outcome is Outcome.COMPLETED


PIXELS = """
from pathlib import Path
import numpy as np

def pixels():
    rng = np.random.default_rng(int(Path("pixels").read_text()))
    images, labels = rng.integers(0, 256, (96, 1, 8, 8), np.uint8), np.arange(96) % 4
    return dict(train_images=images[:64], train_labels=labels[:64],
                test_images=images[64:], test_labels=labels[64:], num_classes=4)
"""


def on_own_data(spec: TrialSpec) -> TrialSpec:
    return replace(spec, data=DataSpec(name="own_pixels:pixels"))


@pytest.mark.parametrize(("num_damaged", "from_epoch"), [(1, 1), (2, 0)])
def test_damaged_checkpoints_fall_back_to_what_came_before(
    num_damaged: int, from_epoch: int
) -> None:
    whole, cut = assignment("runs/whole", epochs=4), assignment("runs/cut", epochs=4)
    at_once, first = train(whole), train(cut, steps=2)
    for epoch in (2, 1)[:num_damaged]:
        name = f"checkpoint-{epoch:06d}.pt"
        folder_of(cut).storage.write(name, folder_of(cut).storage.read(name)[:-50])
    # Interrupted once more before it is as far as it was.
    train(cut, steps=1)
    resumed = train(cut)
    assert [attempt.from_epoch for attempt in resumed.attempts] == [
        0,
        from_epoch,
        from_epoch + 1,
    ]
    assert resumed.outcome is Outcome.COMPLETED
    assert without_times(resumed) == without_times(at_once)
    assert_same_bits(states(cut), states(whole))
    stamps = [epoch.timestamp_ms for epoch in resumed.epochs]
    assert stamps[:2] == [epoch.timestamp_ms for epoch in first.epochs]


def test_a_commit_that_was_cut_off_is_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = assignment("runs/whole", epochs=3), assignment("runs/cut", epochs=3)
    train(whole)
    train(cut, steps=1)
    attempt = Attempt(cut)
    with monkeypatch.context() as patch:
        # The checkpoint is on the disk, the record does not know of it.
        save = TrialFolder.save_json
        saved: list[bytes] = []

        def full_disk(folder: TrialFolder, content: bytes) -> None:
            if saved:
                raise OSError(28, "No space left on device")
            saved.append(content)
            save(folder, content)

        patch.setattr(TrialFolder, "save_json", full_disk)
        with pytest.raises(OSError, match="No space left"):
            step(attempt)
    resumed = train(cut)
    assert [a.from_epoch for a in resumed.attempts] == [0, 1, 1]
    assert_same_bits(states(cut), states(whole))


LAYERS = """
from torch import nn

class Norm(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(1, num_channels)

class Broken(Norm):
    def forward(self, x):
        if self.weight.grad_fn is None and self.training:
            raise RuntimeError("the layer\\nhas a bug")
        return super().forward(x)
"""


def test_a_users_layer_is_trained_like_any_other() -> None:
    Path("trained_layers.py").write_text(LAYERS)
    assert train(assignment(norm="trained_layers:Norm")).outcome is Outcome.COMPLETED


def test_a_bug_is_an_outcome_with_its_traceback() -> None:
    Path("buggy_layers.py").write_text(LAYERS)
    given = assignment(norm="buggy_layers:Broken")
    record = train(given)
    assert (record.outcome, record.epochs) == (Outcome.FAILED, [])
    assert record.error is not None
    assert (record.error.type, record.error.message) == (
        "RuntimeError",
        "the layer\nhas a bug",
    )
    text = folder_of(given).storage.read("traceback.txt").decode()
    assert text == record.error.traceback
    assert 'buggy_layers.py", line 11, in forward' in text
    assert record.attempts[-1].ended is not None
    # What has an outcome is left alone, whoever asks again.
    before = folder_of(given).storage.read("record.json")
    train(given, steps=1)
    assert folder_of(given).storage.read("record.json") == before


def test_a_trial_is_tried_again_where_that_is_asked_for() -> None:
    Path("mended_layers.py").write_text(LAYERS.replace("raise", "pass; #"))
    given = assignment(norm="mended_layers:Broken", epochs=2)
    record = train(given, steps=1)
    record.outcome, record.error = Outcome.FAILED, TrialError("E", message="", traceback="")
    folder_of(given).save(record)
    assert train(given).outcome is Outcome.FAILED
    again = train(replace(given, retry=True))
    assert (again.outcome, again.error, len(again.epochs)) == (Outcome.COMPLETED, None, 2)
    assert [attempt.from_epoch for attempt in again.attempts] == [0, 1]


def test_divergence_is_a_result() -> None:
    given = assignment(norm="batchnorm", lr=1e30)
    record = train(given)
    assert (record.outcome, record.error) == (Outcome.DIVERGED, None)
    assert (record.chance_error, record.num_test) == (90.0, 32)
    assert len(record.epochs) < 2
    assert record.attempts[0].ended is not None
    assert "traceback.txt" not in folder_of(given).storage.names()


@pytest.mark.parametrize("error", [MemoryError("no memory"), torch.OutOfMemoryError("no memory")])
def test_running_out_of_memory_is_told_from_a_bug(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trainables

    def too_large(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(trainables.Trial, "advance", too_large)
    record = train(assignment())
    assert record.outcome is Outcome.OUT_OF_MEMORY
    assert record.error is not None
    assert record.error.message == "no memory"


def test_an_interruption_is_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    import trainables

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    given = assignment()
    monkeypatch.setattr(trainables.Trial, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        step(Attempt(given))
    record = folder_of(given).load()
    assert record is not None
    assert record.outcome is None


def test_an_assignment_survives_the_way_to_a_worker() -> None:
    given = assignment(norm={"name": "groupnorm", "num_groups": 2}, retry=True)
    plain = json.loads(json.dumps(given.to_dict()))
    assert plain["trial_id"] == given.spec.trial_id
    there = Assignment.from_dict(plain)
    assert replace(there, import_paths=tuple(there.import_paths)) == given
    config = {"assignments": json.dumps([plain, plain]), "width": 2}
    assert parse_assignments(config) == [there, there]
    assert trial_ids(config) == [given.spec.trial_id] * 2
