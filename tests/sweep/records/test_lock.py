from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict

import pytest

from sweep.errors import RefusedError
from sweep.records.lock import LOCK, Holder, current_holder, driving
from sweep.records.record import SweepFolder
from sweep.records.storage import Storage


@pytest.fixture
def folder() -> SweepFolder:
    return SweepFolder(Storage.at("runs/small"))


def hold(folder: SweepFolder, holder: Holder) -> None:
    folder.storage.write(LOCK, json.dumps(asdict(holder)).encode())


def test_a_second_driver_is_told_who_has_the_sweep(folder: SweepFolder) -> None:
    with driving(folder):
        holder = current_holder(folder)
        assert holder is not None
        assert (holder.host, holder.pid) == (socket.gethostname(), os.getpid())
        assert not holder.is_dead()
        who = (
            rf"already running on {holder.host} \(process {os.getpid()}, since {holder.since[:10]}"
        )
        with pytest.raises(RefusedError, match=who) as caught, driving(folder):
            pytest.fail("two drivers at once")
        assert f"delete {folder.storage.uri}/{LOCK}" in str(caught.value)
        assert current_holder(folder) == holder
    assert current_holder(folder) is None


def test_of_two_that_begin_at_once_one_is_refused(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other takes the lock at the last moment, after this one could still find it free.
    other = Holder("elsewhere", 1, "2024-05-01T10:00:00", "")
    create = Storage.create

    def overtaken(storage: Storage, name: str, content: bytes) -> bool:
        hold(folder, other)
        return create(storage, name, content)

    monkeypatch.setattr(Storage, "create", overtaken)
    with pytest.raises(RefusedError, match="already running on elsewhere"), driving(folder):
        pytest.fail("two drivers at once")
    assert current_holder(folder) == other


def test_an_exception_releases_the_lock(folder: SweepFolder) -> None:
    with pytest.raises(KeyboardInterrupt), driving(folder):
        raise KeyboardInterrupt
    with driving(folder):
        pass
    assert folder.storage.names() == []


def test_sweeps_do_not_lock_each_other(folder: SweepFolder) -> None:
    with driving(folder), driving(SweepFolder(Storage.at("runs/other"))):
        assert current_holder(folder) is not None


def test_the_lock_of_a_dead_process_is_taken_over(folder: SweepFolder) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    hold(folder, Holder(socket.gethostname(), process.pid, "2024-05-01T10:00:00", "12345"))
    with driving(folder):
        holder = current_holder(folder)
        assert holder is not None
        assert holder.pid == os.getpid()


def test_a_later_process_with_the_same_number_is_not_the_holder(folder: SweepFolder) -> None:
    hold(folder, Holder(socket.gethostname(), os.getpid(), "2024-05-01T10:00:00", "1"))
    with driving(folder):
        pass


def test_another_hosts_process_counts_as_alive(folder: SweepFolder) -> None:
    hold(folder, Holder("elsewhere", os.getpid(), "2024-05-01T10:00:00", ""))
    with pytest.raises(RefusedError, match="already running on elsewhere"), driving(folder):
        pytest.fail("two drivers at once")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": "x"}', b"\xff"])
def test_a_lock_that_says_nothing_holds_nothing(folder: SweepFolder, content: bytes) -> None:
    folder.storage.write(LOCK, content)
    with driving(folder):
        pass


def test_a_driver_does_not_delete_the_lock_of_another(folder: SweepFolder) -> None:
    other = Holder("elsewhere", 1, "2024-05-01T10:00:00", "")
    with driving(folder):
        hold(folder, other)
    assert current_holder(folder) == other
