"""The folder of Ray's sockets and logs: whether Ray can use it, and what is left in it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from sweep.errors import RefusedError
from sweep.records.lease import process_start

NEEDED_BYTES = 50_000_000
"""Room for the logs of a short sweep; Ray does not start at all in a few kilobytes."""

LONGEST_SOCKET = 107
"""Bytes of a path that Linux takes for a socket."""

SOCKET = "session_2000-01-01_00-00-00_000000_{pid}/sockets/plasma_store"
"""The longest path that Ray makes a socket of, below its folder."""

MARK = "norm-sweep.json"
"""The file in a session's folder that says which process it was made for."""

STARTING = "norm-sweep-{pid}.json"
"""The file beside the sessions that names a process while it starts Ray, before `MARK` is there."""

REMEDY = "name another folder: RAY_TMPDIR=/short/path python -m sweep run …"


def ray_folder() -> Path:
    """Where a Ray that starts on this machine keeps its files; by default `/tmp/ray`."""
    parent = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    return Path(parent).absolute() / "ray"


def require_temporary_folder(address: str | None) -> None:
    """Raise `RefusedError`, which names folder and remedy, where Ray could not start in its folder.

    Ray itself says so after half a minute, and in other words. On a cluster (`address`) Ray runs
    already.
    """
    if address is not None:
        return
    folder = ray_folder()
    longest = len(os.fsencode(folder / SOCKET.format(pid=os.getpid())))
    if longest > LONGEST_SOCKET:
        raise RefusedError(
            f"Ray's temporary folder {folder} has too long a path: a socket in it would have "
            f"{longest} bytes, and the system takes {LONGEST_SOCKET}; {REMEDY}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(100_000))
            probe.flush()
    except OSError as error:
        raise RefusedError(f"Ray's temporary folder {folder} {_why(folder, error)}") from None
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise RefusedError(_full(folder, free))


def _why(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"is full; delete what is not needed there, or {REMEDY}"
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    whose = f"; {there} belongs to {_owner(there)}" if there.stat().st_uid != os.getuid() else ""
    return f"cannot be written: {error.strerror}{whose}; {REMEDY}"


def _full(folder: Path, free: int) -> str:
    return (
        f"Ray's temporary folder {folder} is full: {free / 1e6:.0f} MB are free, and "
        f"{NEEDED_BYTES / 1e6:.0f} MB are needed; delete what is not needed there, or {REMEDY}"
    )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"


def announce_session() -> None:
    """Note that this process starts Ray: killed before `mark_session`, it leaves a folder too."""
    with suppress(OSError):
        _announcement().write_text(json.dumps(_here(os.getpid())))


def mark_session(session: Path) -> None:
    """Note in a session's folder for which process Ray has made it."""
    with suppress(OSError):
        (session / MARK).write_text(json.dumps(_here(os.getpid())))
        _announcement().unlink(missing_ok=True)


def _announcement() -> Path:
    return ray_folder() / STARTING.format(pid=os.getpid())


def mark_sessions_of_this_process() -> list[Path]:
    """Mark the sessions that this process has begun, by their names, also where Ray did not start.

    The folders, the last one first: what did not start is told with its place, and the next `run`
    removes it.
    """
    found = sorted(ray_folder().glob(f"session_*_{os.getpid()}"), reverse=True)
    for session in found:
        mark_session(session)
    return found


def remove_session(session: Path) -> None:
    """Delete the folder of a session whose Ray has ended; what cannot be deleted stays."""
    shutil.rmtree(session, ignore_errors=True)
    latest = session.with_name("session_latest")
    with suppress(OSError):
        if latest.is_symlink() and not latest.exists():
            latest.unlink()


def keep_session(session: Path) -> None:
    """Have nobody delete the session's folder by itself: a person wants to read the logs."""
    with suppress(OSError):
        (session / MARK).unlink(missing_ok=True)


def remove_dead_sessions() -> None:
    """Delete the folders of sessions that were made for a `run` of this machine that was killed."""
    for mark in ray_folder().glob(f"session_*/{MARK}"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            made_for = json.loads(mark.read_text())
            if made_for != _here(made_for["pid"]) and _is_of_here(made_for):
                remove_session(mark.parent)
    for announced in ray_folder().glob(STARTING.format(pid="*")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            made_for = json.loads(announced.read_text())
            if _is_of_here(made_for) and not process_start(made_for["pid"]):
                _remove_unmarked(announced, int(made_for["pid"]))


def _remove_unmarked(announced: Path, pid: int) -> None:
    """Delete the sessions that process `pid` has begun since its announcement, and that file."""
    since = announced.stat().st_mtime  # an earlier process may have had the same number
    for session in ray_folder().glob(f"session_*_{pid}"):
        if session.stat().st_mtime >= since:
            remove_session(session)
    announced.unlink()


def _here(pid: int) -> dict[str, object]:
    """What tells a process from any other: also from one of another container, or before a boot."""
    return {"pid": pid, "started": process_start(pid), "boot": _boot(), "namespace": _namespace()}


def _is_of_here(made_for: dict[str, object]) -> bool:
    return made_for["boot"] != _boot() or made_for["namespace"] == _namespace()


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
