"""What a worker logs while it trains a trial, written to the log beside the trial's record."""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache

from sweep.process.logs import LOGGED_PACKAGES, UtcFormatter
from sweep.records.record import TrialFolder
from sweep.records.trial_log import append_to_log

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
MAX_PENDING_LINES = 10_000
"""Lines that are kept for a storage that cannot be written at present."""


class TrialLog(logging.Handler):
    """Appends log messages to a trial's log file, in a thread, from `open` to `finish`.

    The log receives this program's messages of level INFO and above and the warnings of libraries,
    unless they belong to another trial that the same process trains. On an object store, which
    cannot append, the lines are written when the log is closed. After an error of the storage the
    lines are lost, and the trial goes on: only the record is needed to resume.
    """

    def __init__(self, folder: TrialFolder, trial_id: str) -> None:
        super().__init__(logging.INFO)
        self._folder, self._trial_id = folder, trial_id
        self._pending: deque[str] = deque(maxlen=MAX_PENDING_LINES)
        self._pending_lock = threading.Lock()
        self._is_writing = False
        self._write: Future[None] | None = None
        self.setFormatter(UtcFormatter(FORMAT))
        self.addFilter(self._is_of_this_trial)

    def _is_of_this_trial(self, record: logging.LogRecord) -> bool:
        """Return whether a log message belongs to this trial, or to none."""
        return getattr(record, "trial_id", self._trial_id) == self._trial_id

    def open(self) -> None:
        """Begin to receive the process's log messages."""
        for name in LOGGED_PACKAGES:
            logger = logging.getLogger(name)
            if logger.getEffectiveLevel() > logging.INFO:
                logger.setLevel(logging.INFO)
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the message's lines for the thread that writes the file."""
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        with self._pending_lock:
            self._pending.append(f"{text}\n")
        if self._folder.storage.is_local:
            self.write_later()

    def finish(self) -> None:
        """Stop receiving messages, and begin to write the queued lines."""
        logging.getLogger().removeHandler(self)
        self.write_later()

    def settle(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` until the queued lines are written, or the write has failed."""
        self.write_later()
        if self._write is not None:
            with suppress(TimeoutError):
                self._write.result(timeout_s)

    def write_later(self) -> None:
        """Have the thread write the queued lines; return at once."""
        with self._pending_lock:
            if self._pending and not self._is_writing:
                self._is_writing = True
                self._write = _log_writer().submit(self._write_pending)

    def _write_pending(self) -> None:
        """Write the queued lines until none is left; if the storage fails, keep them queued."""
        while True:
            with self._pending_lock:
                lines = list(self._pending)
                self._pending.clear()
                if not lines:
                    self._is_writing = False
                    return
            try:
                is_written = append_to_log(self._folder, "".join(lines).encode())
            except Exception:  # a storage that cannot be written at present, of whatever kind
                is_written = False
            if not is_written:
                with self._pending_lock:
                    self._pending.extendleft(reversed(lines))
                    self._is_writing = False
                return


@lru_cache(maxsize=1)
def _log_writer() -> ThreadPoolExecutor:
    """Return the thread that writes the logs of this process."""
    return ThreadPoolExecutor(1, thread_name_prefix="trial-log")
