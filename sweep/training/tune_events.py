"""What Tune tells the driver, handed to the board and to the shipping process.

Tune pickles its callbacks, so these hold nothing: the listeners stand in this module while a
sweep runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.exceptions import RayActorError
from ray.tune import Callback, Stopper

from sweep.display.board import Board
from sweep.records.record import Record, RecordDamagedError
from sweep.tracking.shipping import Shipper
from trainables.spec import Outcome

LOST_WORKERS = 3
"""How often a trial is moved to another worker because its own was lost."""

_listeners: list[tuple[Board, Shipper]] = []


@contextmanager
def listening(board: Board, shipper: Shipper) -> Iterator[None]:
    """Hand Tune's events on while the block lasts."""
    _listeners.append((board, shipper))
    try:
        yield
    finally:
        _listeners.remove((board, shipper))


class Events(Callback):
    """Starts, results and lost workers. An exception here would end the sweep: none is raised."""

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker takes a trial (again, if its first one was lost)."""
        for board, _ in _listeners:
            board.start(str(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A worker has committed an epoch or an outcome."""
        for board, shipper in _listeners:
            outcome = Outcome(result["outcome"]) if result["outcome"] else None
            error = result["error"]
            board.report(
                str(trial),
                epochs=result["epochs"],
                test_error=result["test_error"],
                epoch_s=result["epoch_s"],
                outcome=outcome,
                error=error["traceback"] if error else None,
            )
            shipper.changed(str(trial))
            complaint = shipper.complaint()
            if complaint:
                board.notices.append(f"MLflow cannot be reached, training goes on: {complaint}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial has lost its worker too often."""
        error = trial.get_pickled_error() or trial.get_error()
        cause = str(getattr(error, "cause", error) or "its worker was lost").strip()
        died = isinstance(error, RayActorError)
        for board, shipper in _listeners:
            if died:
                # Nobody is left who could record it, and training it again would end alike.
                _record_death(board, str(trial))
                shipper.changed(str(trial))
            else:
                board.lose(str(trial), cause.splitlines()[-1])


def _record_death(board: Board, trial_id: str) -> None:
    folder = board.plan.folder.trial(trial_id)
    state = board.states[trial_id]
    why = f"its worker process died {LOST_WORKERS + 1} times (a crash, or killed for its memory)"
    try:
        record = folder.load() or Record.of(state.trial.spec)
        record.outcome = Outcome.FAILED
        record.error = {"type": "WorkerDied", "message": why, "traceback": why}
        folder.save_traceback(f"{why}; Ray's logs in /tmp/ray may say more\n")
        folder.save(record)
    except (OSError, RecordDamagedError):
        board.lose(trial_id, why)
        return
    board.report(trial_id, state.epochs, state.test_error, 0.0, Outcome.FAILED, None)


class StopOnRepeatedError(Stopper):
    """Ends the sweep when one traceback has ended several trials."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped from outside."""
        return False

    def stop_all(self) -> bool:
        """Whether the sweep is to end."""
        return any(board.repeated_error for board, _ in _listeners)
