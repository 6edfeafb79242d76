"""Where an attempt goes on: at the last checkpoint that is whole, if it still is the same trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.training.attempt import Attempt
    from trainables import Trial


def resume(attempt: Attempt, trial: Trial) -> None:
    """Load the trial's last checkpoint, if there is one; notes what was damaged or has changed."""
    from trainables import CheckpointDamaged

    if what := _what_has_changed(attempt, trial):
        _start_over(attempt, what)
    damaged = []
    for name, content in attempt.folder.checkpoints(up_to=len(attempt.record.epochs)):
        try:
            with attempt.own_errors():
                trial.load_state(content)
            break
        except CheckpointDamaged:
            damaged.append(name)  # the one before it is as good
    if damaged:
        place = f"{attempt.folder.storage.uri}/{', '.join(damaged)}"
        attempt.notices.append(f"{place}: damaged; the trial goes on from epoch {trial.epoch}")


def _what_has_changed(attempt: Attempt, trial: Trial) -> str | None:
    """What of the user's own is not as it was for the epochs on record, if something is."""
    before = attempt.record.attempts[-1] if attempt.record.attempts else {}
    given, digest = attempt.assignment, trial.dataset.digest
    if before.get("source", given.source) != given.source:
        return f"the source of {' or '.join(given.spec.own)} has changed"
    if before.get("data", digest) != digest:
        return f"{given.spec.data.name} has other images or labels than before"
    return None


def _start_over(attempt: Attempt, what: str) -> None:
    """Forget epochs of another layer than today's: no trial is half of one, half of another."""
    attempt.notices.append(f"{what}: its unfinished trials start again from the first epoch")
    attempt.record.epochs.clear()
    attempt.folder.delete_checkpoints()
