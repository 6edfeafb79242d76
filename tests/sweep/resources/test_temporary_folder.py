"""What keeps Ray from its temporary folder is told before it starts; sessions do not add up."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.errors import ExitCode, RefusedError
from sweep.resources.ray_compat import LONGEST_SOCKET_NAME
from sweep.resources.temporary_folder import (
    RAY_START_FILE,
    SESSION_OWNER,
    mark_session,
    mark_sessions_of_this_process,
    ray_folder,
    remove_dead_sessions,
    require_temporary_folder,
    write_ray_start_file,
)


def refusal() -> str:
    with pytest.raises(RefusedError) as caught:
        require_temporary_folder(None)
    assert caught.value.exit_code is ExitCode.REFUSED
    (line,) = caught.value.messages
    assert "RAY_TMPDIR=" in line
    return line


def test_the_folder_is_the_one_that_ray_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._common import utils

    # Ray 2.50 has it by its former name.
    find_folder = getattr(utils, "get_default_ray_temp_dir", None) or utils.get_ray_temp_dir
    for name, value in (("RAY_TMPDIR", "/a"), ("RAY_TMPDIR", None), ("TMPDIR", "/b")):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
        assert str(ray_folder()) == find_folder()


@pytest.mark.parametrize("excess", [0, 1])
def test_a_path_is_too_long_where_the_system_takes_no_socket_of_it(
    excess: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's own limit, found by binding a socket."""
    below = len(f"/ray/{LONGEST_SOCKET_NAME.format(pid=os.getpid())}")
    parent = "/tmp/" + "x" * (107 - below - len("/tmp/") + excess)
    monkeypatch.setenv("RAY_TMPDIR", parent)
    path = f"{parent}/ray/{LONGEST_SOCKET_NAME.format(pid=os.getpid())}"
    with socket.socket(socket.AF_UNIX) as probe:
        said = ""
        try:
            probe.bind(path)
        except OSError as error:
            said = str(error)
    is_too_long = "too long" in said
    assert is_too_long == bool(excess)
    try:
        if is_too_long:
            line = refusal()
            assert f"Ray's temporary folder {parent}/ray has too long a path" in line
            assert "would have 108 bytes, and the system takes 107" in line
        else:
            require_temporary_folder(None)
    finally:
        for folder in (Path(parent) / "ray", Path(parent)):
            if folder.exists():
                folder.rmdir()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = Path("/tmp") / f"disk-{os.getpid()}"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place]).returncode:
        place.rmdir()
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)
    place.rmdir()


def test_a_full_folder_is_named(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(small_disk))
    assert f"Ray's temporary folder {small_disk}/ray is full: 0 MB are free" in refusal()
    (small_disk / "data").write_bytes(bytes(250_000))
    assert f"Ray's temporary folder {small_disk}/ray is full" in refusal()
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "more").write_bytes(bytes(250_000))
    assert f"Ray's temporary folder {small_disk}/ray is full" in refusal()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_a_folder_of_somebody_else_is_named_with_its_owner(tmp_path: Path) -> None:
    place = Path("/tmp") / f"theirs-{os.getpid()}"
    (place / "ray").mkdir(parents=True, mode=0o700)
    program = (
        "import os\n"
        "from sweep.resources.temporary_folder import require_temporary_folder\n"
        "os.setuid(65534)\n"
        "try: require_temporary_folder(None)\n"
        "except Exception as error: print(error)\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "RAY_TMPDIR": str(place)},
            capture_output=True,
            text=True,
        )
    finally:
        (place / "ray").rmdir()
        place.rmdir()
    assert f"folder {place}/ray cannot be written: Permission denied; " in done.stdout
    assert "belongs to root" in done.stdout
    assert "RAY_TMPDIR=" in done.stdout


def test_a_cluster_has_its_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/" + "x" * 100)
    require_temporary_folder("auto")


def test_sessions_are_known_by_the_process_that_began_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    begun = [f"session_2026-01-0{day}_10-00-00_123456_{os.getpid()}" for day in (1, 2)]
    for name in (*begun, "session_2026-01-03_10-00-00_123456_1", "session_latest"):
        (tmp_path / "ray" / name).mkdir(parents=True)
    assert [session.name for session in mark_sessions_of_this_process()] == begun[::-1]
    assert sorted(mark.parent.name for mark in tmp_path.glob(f"ray/*/{SESSION_OWNER}")) == begun


def test_sessions_of_dead_runs_go_and_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    names = ("alive", "dead", "rebooted", "elsewhere", "kept", "odd")
    sessions = {name: tmp_path / f"ray/session_{name}" for name in names}
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for session in sessions.values():
        session.mkdir(parents=True)
        mark_session(session)
    here = json.loads((sessions["alive"] / SESSION_OWNER).read_text())
    gone = {**here, "pid": ended.pid}
    (sessions["dead"] / SESSION_OWNER).write_text(json.dumps(gone))
    (sessions["rebooted"] / SESSION_OWNER).write_text(
        json.dumps({**here, "boot": "an earlier one"})
    )
    (sessions["elsewhere"] / SESSION_OWNER).write_text(json.dumps({**gone, "namespace": "pid:[7]"}))
    (sessions["kept"] / SESSION_OWNER).unlink()
    (sessions["odd"] / SESSION_OWNER).write_text("[]")
    remove_dead_sessions()
    left = [name for name, session in sessions.items() if session.exists()]
    assert left == ["alive", "elsewhere", "kept", "odd"]


def test_a_session_of_a_run_that_was_killed_while_ray_started_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    folder = tmp_path / "ray"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    earlier = folder / f"session_2026-01-01_10-00-00_123456_{ended.pid}"
    earlier.mkdir(parents=True)
    os.utime(earlier, (1, 1))
    write_ray_start_file()
    mine = folder / RAY_START_FILE.format(pid=os.getpid())
    theirs = folder / RAY_START_FILE.format(pid=ended.pid)
    theirs.write_text(json.dumps({**json.loads(mine.read_text()), "pid": ended.pid}))
    begun = [folder / f"session_2026-01-02_10-00-00_123456_{p}" for p in (ended.pid, os.getpid())]
    for session in begun:
        session.mkdir()
    remove_dead_sessions()
    assert [session.exists() for session in (earlier, *begun)] == [True, False, True]
    assert not theirs.exists()
    assert mine.exists()
    mark_session(begun[1])
    assert not mine.exists()
