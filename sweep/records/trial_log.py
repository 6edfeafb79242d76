"""The log file of a trial, beside its record: what its workers report, attempt after attempt."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sweep.records.record import TrialFolder

TRIAL_LOG = "trial.log"
MAX_LOG_BYTES = 1_000_000
"""A log that grows beyond this loses its older half."""

CUT_NOTICE = b"(earlier lines were removed)\n"


def append_to_log(folder: TrialFolder, content: bytes) -> bool:
    """Append lines to a trial's log, which is made where the trial has a folder.

    Args:
        folder: the trial's folder; on an object store the log is read and written again.
        content: whole lines.

    Returns:
        Whether the lines were written; False where the trial's folder does not exist (yet).

    Raises:
        OSError: the storage cannot be written.
    """
    if not folder.storage.is_local:
        earlier = b""
        with suppress(FileNotFoundError):
            earlier = folder.storage.read(TRIAL_LOG)
        folder.storage.write(TRIAL_LOG, _keep_newest_half(earlier + content))
        return True
    try:
        with open(Path(folder.storage.uri) / TRIAL_LOG, "ab") as file:
            file.write(content)
            size = file.tell()
    except FileNotFoundError:
        return False
    if size > MAX_LOG_BYTES:
        folder.storage.replace(TRIAL_LOG, _keep_newest_half(folder.storage.read(TRIAL_LOG)))
    return True


def find_log(folder: TrialFolder) -> str | None:
    """Return the place of a trial's log, None where there is none: an earlier program wrote none.

    Raises:
        OSError: the storage cannot be read.
    """
    return f"{folder.storage.uri}/{TRIAL_LOG}" if folder.storage.size(TRIAL_LOG) else None


def _keep_newest_half(content: bytes) -> bytes:
    """Return the content; if it is too long, its newer half from the beginning of a line on."""
    if len(content) <= MAX_LOG_BYTES:
        return content
    half = content[-MAX_LOG_BYTES // 2 :]
    return CUT_NOTICE + half[half.find(b"\n") + 1 :]
