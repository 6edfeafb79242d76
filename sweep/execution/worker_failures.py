"""Trials whose worker was lost: what is said of them, and what is recorded in the end."""

from __future__ import annotations

from sweep.execution.state import SweepState
from sweep.execution.worker_losses import LOST_WORKERS
from sweep.records.record import Record, RecordDamagedError, utc_now
from sweep.records.trial_log import append_to_log
from sweep.resources.ray_compat import is_lost_node, is_memory_kill
from trainables.spec import Outcome


def format_recovery(board: SweepState, trial_id: str, error: object) -> str:
    """`groupnorm-bs8-s2: its worker died; it goes on from what is kept (epoch 3 of 9 was done)`."""
    state = board.states[trial_id]
    if is_memory_kill(error):
        what = "Ray has ended its worker, since the machine ran out of memory"
    elif is_lost_node(error):
        what = "its worker is lost with its node"
    else:
        what = "its worker died"
    epochs = f"epoch {state.epochs} of {state.trial.spec.train.epochs} was done"
    return f"{state.trial.name}: {what}; it goes on from what is kept ({epochs})"


def record_worker_death(board: SweepState, trial_id: str, error: object) -> None:
    """Record that worker after worker of the trial died; nobody else is left to do so."""
    outcome = Outcome.OUT_OF_MEMORY if is_memory_kill(error) else Outcome.FAILED
    folder = board.plan.folder.trial(trial_id)
    state = board.states[trial_id]
    cause = "ended by Ray, since the machine ran out of memory"
    if outcome is Outcome.FAILED:
        cause = "a crash, or killed for its memory"
    why = f"its worker process died {LOST_WORKERS + 1} times at one and the same point ({cause})"
    try:
        record = folder.load() or Record.of(state.trial.spec)
        record.outcome = outcome
        record.error = {"type": "WorkerDied", "message": why, "traceback": why}
        folder.save_traceback(f"{why}; {board.logs} may say more\n")
        folder.save(record)
        append_to_log(folder, f"{utc_now()} ERROR {__name__} {why}\n".encode())
    except (OSError, RecordDamagedError):
        board.lose(trial_id, why)
        return
    board.report(trial_id, state.epochs, state.test_error, 0.0, outcome, None)
