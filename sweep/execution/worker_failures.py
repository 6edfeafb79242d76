"""Trials whose worker was lost: the line that reports a loss, and the outcome after many."""

from __future__ import annotations

from sweep.execution.state import SweepState
from sweep.execution.worker_losses import LOST_WORKERS
from sweep.records.attempt_info import TrialError
from sweep.records.record import Record, RecordDamagedError, utc_now
from sweep.records.trial_log import append_to_log
from sweep.resources.ray_compat import is_lost_node, is_memory_kill
from trainables.spec import Outcome


def format_recovery(state: SweepState, trial_id: str, error: object) -> str:
    """Return the notice that a trial lost its worker and from which epoch it resumes.

    Example: `groupnorm-bs8-s2: its worker died; it goes on from what is kept (epoch 3 of 9 was
    done)`.
    """
    trial = state.states[trial_id]
    if is_memory_kill(error):
        what = "Ray has ended its worker, since the machine ran out of memory"
    elif is_lost_node(error):
        what = "its worker is lost with its node"
    else:
        what = "its worker died"
    epochs = f"epoch {trial.epochs} of {trial.trial.spec.train.epochs} was done"
    return f"{trial.trial.name}: {what}; it goes on from what is kept ({epochs})"


def record_worker_death(state: SweepState, trial_id: str, error: object) -> None:
    """Record, in the driver, the outcome of a trial whose workers have all died."""
    outcome = Outcome.OUT_OF_MEMORY if is_memory_kill(error) else Outcome.FAILED
    folder = state.plan.folder.trial(trial_id)
    trial = state.states[trial_id]
    cause = "ended by Ray, since the machine ran out of memory"
    if outcome is Outcome.FAILED:
        cause = "a crash, or killed for its memory"
    why = f"its worker process died {LOST_WORKERS + 1} times at one and the same point ({cause})"
    try:
        record = folder.load() or Record.of(trial.trial.spec)
        record.outcome = outcome
        record.error = TrialError("WorkerDied", message=why, traceback=why)
        folder.save_traceback(f"{why}; {state.ray_logs} may say more\n")
        folder.save(record)
        append_to_log(folder, f"{utc_now()} ERROR {__name__} {why}\n".encode())
    except (OSError, RecordDamagedError):
        state.mark_lost(trial_id, why)
        return
    state.report(trial_id, trial.epochs, trial.test_error, 0.0, outcome, None)
