"""Trials whose worker was lost: what is said of them, and what is recorded in the end."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError

from sweep.execution.state import SweepState
from sweep.execution.worker_losses import LOST_WORKERS
from sweep.records.attempt_info import TrialError
from sweep.records.record import Record, RecordDamagedError
from trainables.spec import Outcome


@contextmanager
def treat_memory_kills_as_lost_workers() -> Iterator[None]:
    """Within the block Tune takes a worker that Ray has ended to save memory for a lost one.

    Ray then raises an error of its own kind, which Tune does not know: it would end the sweep.
    A later Ray may know better, and have no such method.
    """
    manager_class: Any = RayActorManager
    handle = getattr(manager_class, "_actor_task_failed", None)
    if handle is None:
        yield
        return

    def handle_as_lost(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception))
        handle(manager, tracked_actor_task, exception)

    manager_class._actor_task_failed = handle_as_lost
    try:
        yield
    finally:
        manager_class._actor_task_failed = handle


def last_error(trial: Any) -> Exception | str | None:
    """The trial's last failure, or its text where Tune keeps no more.

    Read from Tune's own files: what it hands out is some seconds old.
    """
    with suppress(OSError, TypeError):  # there is none
        error: Exception = pickle.loads(Path(trial.pickled_error_file).read_bytes())
        return error
    with suppress(OSError, TypeError):
        return Path(trial.error_file).read_text().rpartition("Failure # ")[2]
    return None


def is_lost_worker(error: object) -> bool:
    """Whether a failure is that of a worker, and not of what it ran."""
    return isinstance(error, RayActorError) or ran_out_of_memory(error)


def ran_out_of_memory(error: object) -> bool:
    """Whether Ray has ended the worker because its machine ran out of memory."""
    return "OUT_OF_MEMORY" in str(error) or "low on memory" in str(error)


def format_recovery(board: SweepState, trial_id: str, error: object) -> str:
    """`groupnorm-bs8-s2: its worker died; it goes on from what is kept (epoch 3 of 9 was done)`."""
    state = board.states[trial_id]
    said = str(error)
    if ran_out_of_memory(error):
        what = "Ray has ended its worker, since the machine ran out of memory"
    elif "node died" in said.lower() or "node has died" in said.lower():
        what = "its worker is lost with its node"
    else:
        what = "its worker died"
    epochs = f"epoch {state.epochs} of {state.trial.spec.train.epochs} was done"
    return f"{state.trial.name}: {what}; it goes on from what is kept ({epochs})"


def record_worker_death(board: SweepState, trial_id: str, error: object) -> None:
    """Record that worker after worker of the trial died; nobody else is left to do so."""
    outcome = Outcome.OUT_OF_MEMORY if ran_out_of_memory(error) else Outcome.FAILED
    folder = board.plan.folder.trial(trial_id)
    state = board.states[trial_id]
    cause = "ended by Ray, since the machine ran out of memory"
    if outcome is Outcome.FAILED:
        cause = "a crash, or killed for its memory"
    why = f"its worker process died {LOST_WORKERS + 1} times at one and the same point ({cause})"
    try:
        record = folder.load() or Record.of(state.trial.spec)
        record.outcome = outcome
        record.error = TrialError("WorkerDied", message=why, traceback=why)
        folder.save_traceback(f"{why}; {board.logs} may say more\n")
        folder.save(record)
    except (OSError, RecordDamagedError):
        board.lose(trial_id, why)
        return
    board.report(trial_id, state.epochs, state.test_error, 0.0, outcome, None)
