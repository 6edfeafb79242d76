"""Writes an attempt's files in threads, while it trains, and before the driver is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from sweep.records.record import Record, TrialFolder

if TYPE_CHECKING:
    from trainables import Trial

logger = logging.getLogger(__name__)

CHECKPOINT_SHARE = 0.02
"""Within an epoch, checkpoints take no more of the time than this, however large."""

CHECKPOINT_MIN_S = 1.0
"""Epochs that take less than this together share a checkpoint."""

RECORD, CHECKPOINT, CORRECT = "record", "checkpoint", "correct"
NUM_WRITERS = 3
"""A record, a checkpoint and which test examples were right are written at once."""


class SupersededError(Exception):
    """Another worker trains the trial, because this worker or its driver was taken for dead."""


class TrialWriter:
    """Writes the files of one trial in threads, for one attempt.

    Training does not wait for the disk: only the next write of the same kind and `settle` wait, and
    raise the error of a write. A record may name epochs for which there is no checkpoint yet; after
    a crash these epochs are trained again, to the same bits.
    """

    def __init__(
        self, folder: TrialFolder, checkpoint_every_s: float, *, reports_weights: bool = False
    ) -> None:
        self._folder = folder
        self._every_s = checkpoint_every_s
        self._reported = {RECORD, CORRECT, *([CHECKPOINT] if reports_weights else [])}
        self._writes: dict[str, Future[None]] = {}
        self._write_later: Callable[[], None] | None = None
        self._cost_s = 0.0
        self._last = time.monotonic()

    @property
    def is_reported(self) -> bool:
        """Whether the files that the driver reads are on the disk."""
        writes = [write for what, write in self._writes.items() if what in self._reported]
        return all(write.done() and write.exception() is None for write in writes)

    def settle(self) -> None:
        """Wait until every file is on the disk; raises the error of one that cannot be written."""
        self._write_last_checkpoint()
        self._wait_for_writes(set(self._writes))

    def settle_reported(self) -> None:
        """Wait until the files that the driver reads are written; raise a failed write's error."""
        if CHECKPOINT in self._reported:
            self._write_last_checkpoint()
        self._wait_for_writes(self._reported & set(self._writes))
        self._write_last_checkpoint()

    def _wait_for_writes(self, those: set[str]) -> None:
        """Wait for the pending writes of these kinds, and raise the error of a failed one."""
        wait(self._writes[what] for what in those)
        for what in those:
            self._writes[what].result()
        for what in those:
            del self._writes[what]

    def require_current_attempt(self, attempt_id: str) -> None:
        """Raise unless the record on the disk is that of this attempt.

        Raises:
            FileNotFoundError: there is no record.
            SupersededError: its last attempt is another one.
        """
        self.settle()
        there = self._folder.load()
        if there is None:
            raise FileNotFoundError(f"{self._folder.storage.uri} has disappeared")
        if there.attempts[-1].id != attempt_id:
            raise SupersededError(f"trial {there.trial_id} is another worker's now")

    def write_record(self, record: Record) -> Future[None]:
        """Begin to write the record as it is now; the future is done when it is on the disk."""
        return self._submit_write(RECORD, partial(self._folder.save_json, record.to_json()))

    def write_checkpoint(self, trial: Trial) -> None:
        """Begin to write a checkpoint of the trial in its present state."""
        start = self._last = time.monotonic()
        epoch, steps, content = trial.epoch, trial.steps_into_epoch, trial.state()

        def write() -> None:
            """Save the checkpoint, and store how many seconds this took."""
            self._folder.save_checkpoint(epoch, steps, content)
            self._cost_s = time.monotonic() - start
            logger.debug(
                "checkpoint of epoch %d, step %d: %d bytes in %.3f s",
                epoch,
                steps,
                len(content),
                self._cost_s,
            )

        self._submit_write(CHECKPOINT, write)

    def write_last_checkpoint_later(self, trial: Trial) -> None:
        """Schedule a finished trial's checkpoint, written after the driver knows the outcome."""

        def write() -> None:
            """Save the checkpoint of the finished trial."""
            self._folder.save_checkpoint(trial.epoch, trial.steps_into_epoch, trial.state())

        self._write_later = write

    def write_correct_examples(self, bits: bytes) -> None:
        """Begin to write which test examples were right (`Trial.correct_bits`)."""
        self._submit_write(CORRECT, partial(self._folder.save_correct, bits))

    def checkpoint_is_due(self, *, within_epoch: bool) -> bool:
        """Return whether to write a checkpoint now; the wait is shorter at the end of an epoch."""
        pause = CHECKPOINT_MIN_S
        if within_epoch:
            pause = max(self._every_s, self._cost_s / CHECKPOINT_SHARE)
        return time.monotonic() - self._last > pause

    def _write_last_checkpoint(self) -> None:
        """Begin to write the scheduled last checkpoint, if there is one."""
        write, self._write_later = self._write_later, None
        if write is not None:
            self._submit_write(CHECKPOINT, write)

    def _submit_write(self, what: str, write: Callable[[], None]) -> Future[None]:
        """Run `write` in a thread, after a pending write of the same kind `what`."""
        if what in self._writes:
            self._writes[what].result()
        self._writes[what] = _writer_threads().submit(write)
        return self._writes[what]


@lru_cache(maxsize=1)
def _writer_threads() -> ThreadPoolExecutor:
    """Return the threads that write the files of this process's trials."""
    return ThreadPoolExecutor(NUM_WRITERS, thread_name_prefix="commits")
