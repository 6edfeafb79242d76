"""What Tune tells the driver, handed to the board and to the shipping process.

Tune pickles its callbacks, so these hold nothing: the listeners stand in this module while a
sweep runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune import Callback, Stopper

from sweep.display.board import Board
from sweep.tracking.shipping import Shipper
from trainables.spec import Outcome

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
        error = trial.get_error()
        cause = str(getattr(error, "cause", error) or "its worker was lost").strip()
        for board, _ in _listeners:
            board.lose(str(trial), cause.splitlines()[-1])


class StopOnRepeatedError(Stopper):
    """Ends the sweep when one traceback has ended several trials."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped from outside."""
        return False

    def stop_all(self) -> bool:
        """Whether the sweep is to end."""
        return any(board.repeated_error for board, _ in _listeners)
