"""The trials that a worker trains at a time: one, or several seeds of a cell; without Ray."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweep.execution.assignment import Assignment
from sweep.execution.attempt import LOG_UPLOAD_S, Attempt, Terminated

if TYPE_CHECKING:
    from trainables.fused.lockstep import LockstepTraining

logger = logging.getLogger(__name__)


class TrialGroup:
    """Attempts at trials that differ in their seed alone, trained side by side where possible.

    Each attempt commits its own epochs and its own outcome. Trials at the same step are trained
    together; those that are behind catch up first. If training side by side fails, every trial is
    resumed from its last checkpoint and trained separately, so that the error shows its trial.

    Attributes:
        attempts: one per assignment, in their order.
    """

    def __init__(self, assignments: Sequence[Assignment], width: int | None = 1) -> None:
        self.attempts = [Attempt(assignment) for assignment in assignments]
        self._width = width
        self._lockstep: LockstepTraining | None = None
        self._is_separate = False

    @property
    def running(self) -> list[Attempt]:
        """The attempts without an outcome that are not suspended."""
        return [attempt for attempt in self.attempts if not attempt.is_done]

    @property
    def is_done(self) -> bool:
        """Whether no attempt is left to train."""
        return not self.running

    def step(self) -> list[Attempt]:
        """Train until an epoch or outcome is committed; return the attempts that committed one."""
        while running := self.running:
            if running[0].is_stop_requested():
                for attempt in running:
                    attempt.suspend("interrupted")
                return running
            new = [attempt for attempt in running if attempt.trial is None]
            for attempt in new:
                attempt.begin()
            reported = [attempt for attempt in new if attempt.is_done]
            if new and not reported:
                continue  # the driver may have reported it to stop while models were built
            reported = reported or self._advance(self.running)
            if reported:
                return reported
        return []

    def settle(self) -> None:
        """Wait until all files of the attempts are written; raise the error of a failed write."""
        for attempt in self.attempts:
            attempt.writer.settle()

    def settle_logs(self) -> None:
        """Wait a few seconds for the trials' logs to be written."""
        for attempt in self.attempts:
            attempt.log.settle(LOG_UPLOAD_S)

    def release(self) -> None:
        """Drop models and optimizers."""
        self._lockstep = None
        for attempt in self.attempts:
            attempt.release()

    def _advance(self, running: list[Attempt]) -> list[Attempt]:
        """Train the trials with the fewest steps for a chunk, until all are at the same step."""
        behind = min(_training_position(attempt) for attempt in running)
        together = [attempt for attempt in running if _training_position(attempt) == behind]
        if self._is_separate or len(together) == 1 or self._width == 1:
            return [attempt for attempt in together if attempt.advance()]
        return self._advance_side_by_side(together)

    def _advance_side_by_side(self, together: list[Attempt]) -> list[Attempt]:
        """Train trials at the same step for a chunk; return the attempts that committed an epoch.

        If training together fails, each trial is trained separately from now on.
        """
        try:
            lockstep = self._get_lockstep(together)
            progress = lockstep.advance()
        except Terminated:
            raise
        except (Exception, SystemExit):  # whose it is shows when each is by itself
            logger.exception("seeds that were trained side by side failed: each is trained alone")
            self._train_separately(together)
            return []
        for attempt, num_networks in zip(together, lockstep.side_by_side, strict=True):
            if num_networks > 1:
                attempt.record_fused(num_networks)
        pairs = list(zip(together, progress, strict=True))
        return [attempt for attempt, what in pairs if attempt.commit_progress(what)]

    def _get_lockstep(self, together: list[Attempt]) -> LockstepTraining:
        """Return the `LockstepTraining` of these attempts' trials, rebuilt if they have changed."""

        from trainables.fused.lockstep import LockstepTraining

        trials = [attempt.trial for attempt in together if attempt.trial is not None]
        if self._lockstep is None or self._lockstep.trials != trials:
            self._lockstep = LockstepTraining(trials, self._width)
        return self._lockstep

    def _train_separately(self, together: list[Attempt]) -> None:
        """Restart each attempt, and train the trials one by one from now on."""
        self._is_separate, self._lockstep = True, None
        for attempt in together:
            attempt.restart("side by side they failed")


def _training_position(attempt: Attempt) -> tuple[int, int]:
    """Return the attempt's finished epochs and the steps into the next one."""
    trial = attempt.trial
    return (trial.epoch, trial.steps_into_epoch) if trial is not None else (0, 0)
