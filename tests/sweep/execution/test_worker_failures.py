from __future__ import annotations

import pytest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError
from small_grids import board, load, record_of

from sweep.execution.worker_failures import format_recovery, record_worker_death
from sweep.records.record import TRACEBACK
from sweep.resources.ray_compat import is_lost_worker, treat_memory_kills_as_lost_workers
from trainables.spec import Outcome

LOW = "1 worker(s) were killed due to the node running low on memory. Memory on the node was"
NODE = "The actor died because its node has died. Node Id: 0"


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (RayActorError(error_msg=LOW), "Ray has ended its worker, since the machine ran out of"),
        (LOW, "Ray has ended its worker, since the machine ran out of memory"),
        (RayActorError(error_msg=NODE), "its worker is lost with its node"),
        (RayActorError(), "its worker died"),
        (None, "its worker died"),
    ],
)
def test_a_lost_worker_is_told_with_its_reason_and_where_the_trial_goes_on(
    error: object, what: str
) -> None:
    grid = load()
    state = board(grid, record_of(grid.trials[0], 2))
    line = format_recovery(state, grid.trials[0].trial_id, error)
    assert line.startswith(f"batchnorm-bs016-s0: {what}")
    assert line.endswith("; it goes on from what is kept (epoch 2 of 3 was done)")


def test_what_is_no_failure_of_the_trial_is_known() -> None:
    assert is_lost_worker(RayActorError())
    assert is_lost_worker(LOW)
    assert not is_lost_worker(RuntimeError("a bug of Tune's"))
    assert not is_lost_worker(None)


@pytest.mark.parametrize(
    ("error", "outcome", "why"),
    [
        (RayActorError(error_msg=LOW), Outcome.OUT_OF_MEMORY, "ended by Ray, since the machine"),
        (RayActorError(), Outcome.FAILED, "a crash, or killed for its memory"),
    ],
)
def test_a_trial_whose_every_worker_died_has_an_outcome(
    error: Exception, outcome: Outcome, why: str
) -> None:
    grid = load()
    trial_id = grid.trials[0].trial_id
    state = board(grid, record_of(grid.trials[0], 2))
    record_worker_death(state, trial_id, error)
    record = state.plan.folder.trial(trial_id).load()
    assert record is not None
    assert (record.outcome, len(record.epochs)) == (outcome, 2)
    assert record.error is not None
    assert (
        f"its worker process died 4 times at one and the same point ({why}" in record.error.message
    )
    assert why in state.plan.folder.trial(trial_id).storage.read(TRACEBACK).decode()
    assert state.num(outcome) == 1


def test_tune_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Exception] = []
    monkeypatch.setattr(
        RayActorManager,
        "_actor_task_failed",
        lambda _manager, _task, exception: seen.append(exception),
    )
    before = RayActorManager._actor_task_failed
    other = NodeDiedError("gone")
    with treat_memory_kills_as_lost_workers():
        manager = object.__new__(RayActorManager)
        for error in (OutOfMemoryError(LOW), other):
            manager._actor_task_failed(tracked_actor_task=None, exception=error)
    assert RayActorManager._actor_task_failed is before
    assert isinstance(seen[0], RayActorError)
    assert str(seen[0]) == LOW
    assert seen[1] is other
