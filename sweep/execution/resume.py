"""Where an attempt goes on: at the last checkpoint that is whole, if it still is the same trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.execution.attempt import Attempt
    from trainables import Trial


def resume_trial(attempt: Attempt, trial: Trial) -> None:
    """Load the trial's last checkpoint, if there is one, and note what was damaged.

    Epochs of another layer, model or data set than today's are forgotten, so that no trial is half
    of one and half of another; the driver has said so (`sweep.planning.continuation`).
    """
    from trainables import CheckpointDamaged

    if _has_changed(attempt, trial):
        attempt.record.epochs.clear()
        attempt.folder.delete_checkpoints()
    damaged = []
    for name, content in attempt.folder.checkpoints(up_to=len(attempt.record.epochs)):
        try:
            with attempt.record_trial_errors():
                trial.load_state(content)
            break
        except CheckpointDamaged:
            damaged.append(name)  # the one before it is as good
    if damaged:
        place = f"{attempt.folder.storage.uri}/{', '.join(damaged)}"
        attempt.notices.append(f"{place}: damaged; the trial goes on from epoch {trial.epoch}")


def _has_changed(attempt: Attempt, trial: Trial) -> bool:
    """Whether something of the user's own is not as it was for the epochs on record."""
    before = attempt.record.last_attempt
    if before is None:
        return False
    source_has_changed = before.source not in (None, attempt.assignment.source)
    return source_has_changed or before.data not in (None, trial.dataset.digest)
