"""The folder of Ray's sockets and logs: checks that Ray can use it, and deletes old sessions."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from sweep.errors import RefusedError
from sweep.records.lease import process_start
from sweep.resources.ray_compat import (
    LATEST_SESSION,
    LONGEST_SOCKET_NAME,
    SESSION_PATTERN,
    session_pattern_of,
)

NEEDED_BYTES = 50_000_000
"""Bytes for the logs of a short sweep; Ray does not start in a few kilobytes."""

MAX_SOCKET_PATH = 107
"""Bytes that the path of a socket may have on Linux."""

logger = logging.getLogger(__name__)

SESSION_OWNER = "norm-sweep.json"
"""File in a session's folder that names the process which started the session."""

RAY_START_FILE = "norm-sweep-{pid}.json"
"""File beside the sessions that names a process which starts Ray, until `SESSION_OWNER` exists."""

REMEDY = "name another folder: RAY_TMPDIR=/short/path python -m sweep run …"


def ray_folder() -> Path:
    """Return the folder in which Ray keeps its files on this machine, by default `/tmp/ray`."""
    parent = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    return Path(parent).absolute() / "ray"


def require_temporary_folder(address: str | None) -> None:
    """Raise `RefusedError`, which names folder and remedy, if Ray cannot start in its folder.

    Ray itself fails after half a minute, with an error that does not name the cause.

    Args:
        address: address of a cluster, where Ray runs already: nothing is checked; or None.
    """
    if address is not None:
        return
    folder = ray_folder()
    longest = len(os.fsencode(folder / LONGEST_SOCKET_NAME.format(pid=os.getpid())))
    if longest > MAX_SOCKET_PATH:
        raise RefusedError(
            f"Ray's temporary folder {folder} has too long a path: a socket in it would have "
            f"{longest} bytes, and the system takes {MAX_SOCKET_PATH}; {REMEDY}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(100_000))
            probe.flush()
    except OSError as error:
        raise RefusedError(
            f"Ray's temporary folder {folder} {_describe_error(folder, error)}"
        ) from None
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise RefusedError(_describe_full_folder(folder, free))


def _describe_error(folder: Path, error: OSError) -> str:
    """Return why the folder cannot be used, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"is full; delete what is not needed there, or {REMEDY}"
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    whose = (
        f"; {there} belongs to {_find_owner(there)}" if there.stat().st_uid != os.getuid() else ""
    )
    return f"cannot be written: {error.strerror}{whose}; {REMEDY}"


def _describe_full_folder(folder: Path, free: int) -> str:
    """Return the message for a temporary folder with too few bytes free."""
    return (
        f"Ray's temporary folder {folder} is full: {free / 1e6:.0f} MB are free, and "
        f"{NEEDED_BYTES / 1e6:.0f} MB are needed; delete what is not needed there, or {REMEDY}"
    )


def _find_owner(path: Path) -> str:
    """Return the name of the user who owns a path."""
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"


def write_ray_start_file() -> None:
    """Write a file that says that this process starts Ray.

    By the file `remove_dead_sessions` finds the session of a process that was killed before
    `mark_session`.
    """
    with suppress(OSError):
        _ray_start_file().write_text(json.dumps(_identify_process(os.getpid())))


def _ray_start_file() -> Path:
    """Return the path of this process's `RAY_START_FILE`."""
    return ray_folder() / RAY_START_FILE.format(pid=os.getpid())


def mark_session(session: Path) -> None:
    """Write into a session's folder that this process has started the session."""
    with suppress(OSError):
        (session / SESSION_OWNER).write_text(json.dumps(_identify_process(os.getpid())))
        _ray_start_file().unlink(missing_ok=True)


def mark_sessions_of_this_process() -> list[Path]:
    """Mark the sessions of this process, also those in which Ray did not start.

    The next `run` deletes marked sessions.

    Returns:
        Their folders, the newest first.
    """
    found = sorted(ray_folder().glob(session_pattern_of(os.getpid())), reverse=True)
    for session in found:
        mark_session(session)
    return found


def remove_session(session: Path) -> None:
    """Delete the folder of a session whose Ray has ended, as far as it can be deleted."""
    shutil.rmtree(session, ignore_errors=True)
    latest = session.with_name(LATEST_SESSION)
    with suppress(OSError):
        if latest.is_symlink() and not latest.exists():
            latest.unlink()


def keep_session(session: Path) -> None:
    """Unmark a session's folder, so that no later run deletes the logs in it."""
    with suppress(OSError):
        (session / SESSION_OWNER).unlink(missing_ok=True)


def remove_dead_sessions() -> None:
    """Delete the folders of sessions that a killed `run` of this machine has left."""
    for file in ray_folder().glob(f"{SESSION_PATTERN}/{SESSION_OWNER}"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            owner = json.loads(file.read_text())
            if owner != _identify_process(owner["pid"]) and _is_visible_here(owner):
                logger.info("deleting the session of a killed run: %s", file.parent)
                remove_session(file.parent)
    for file in ray_folder().glob(RAY_START_FILE.format(pid="*")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            owner = json.loads(file.read_text())
            if _is_visible_here(owner) and not process_start(owner["pid"]):
                _remove_unmarked_sessions(file, int(owner["pid"]))


def _remove_unmarked_sessions(ray_start_file: Path, pid: int) -> None:
    """Delete the sessions of the process `pid` that are newer than its file, and the file."""
    since = ray_start_file.stat().st_mtime  # an earlier process may have had the same number
    for session in ray_folder().glob(session_pattern_of(pid)):
        if session.stat().st_mtime >= since:
            logger.info("deleting the session of a run killed while Ray started: %s", session)
            remove_session(session)
    ray_start_file.unlink()


def _identify_process(pid: int) -> dict[str, object]:
    """Return what identifies a process, also among containers and across reboots."""
    return {
        "pid": pid,
        "started": process_start(pid),
        "boot": _read_boot_id(),
        "namespace": _read_pid_namespace(),
    }


def _is_visible_here(owner: dict[str, object]) -> bool:
    """Return whether this process can tell if the owner of a session still runs.

    It cannot if the owner started since the last boot in another PID namespace (container).
    """
    return owner["boot"] != _read_boot_id() or owner["namespace"] == _read_pid_namespace()


def _read_boot_id() -> str:
    """Return the id of this boot of the machine, empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _read_pid_namespace() -> str:
    """Return this process's PID namespace, which differs between containers."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
