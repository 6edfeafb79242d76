from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweep.errors import RefusedError
from sweep.records.lease import (
    DEAD_AFTER_S,
    LEASE_FILE,
    DriverLease,
    DriverOrders,
    Holder,
    current_holder,
    hold_lease,
    read_orders,
)
from sweep.records.record import SweepFolder
from sweep.records.storage import Storage


@pytest.fixture
def folder() -> SweepFolder:
    return SweepFolder(Storage.at("runs/small"))


def hold(folder: SweepFolder, holder: Holder) -> None:
    folder.storage.write(LEASE_FILE, holder.to_json())


def test_a_second_driver_is_told_who_has_the_sweep(folder: SweepFolder) -> None:
    with hold_lease(folder):
        holder = current_holder(folder)
        assert holder is not None
        assert (holder.host, holder.pid) == (socket.gethostname(), os.getpid())
        assert not holder.is_dead()
        who = (
            rf"already running on {holder.host} \(process {os.getpid()}, since {holder.since[:10]}"
        )
        with pytest.raises(RefusedError, match=who) as caught, hold_lease(folder):
            pytest.fail("two drivers at once")
        assert "free 2 minutes after its last sign of life" in str(caught.value)
        still = current_holder(folder)
        assert still is not None
        assert still.token == holder.token
    assert current_holder(folder) is None


def test_a_driver_may_stop_the_trials_of_some_cells(folder: SweepFolder) -> None:
    with hold_lease(folder) as reign:
        reign.stop_cells(["groupnorm-bs002"])
        deadline = time.monotonic() + 30
        while read_orders(folder, reign.token, "groupnorm-bs002") is not DriverOrders.STOP:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert read_orders(folder, reign.token, "groupnorm-bs016") is DriverOrders.GO_ON
        assert read_orders(folder, reign.token) is DriverOrders.GO_ON


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
    with pytest.raises(RefusedError, match="already running on elsewhere"), hold_lease(folder):
        pytest.fail("two drivers at once")
    assert current_holder(folder) == other


def test_an_exception_releases_the_lock(folder: SweepFolder) -> None:
    with pytest.raises(KeyboardInterrupt), hold_lease(folder):
        raise KeyboardInterrupt
    with hold_lease(folder):
        pass
    assert folder.storage.names() == []


def test_sweeps_do_not_lock_each_other(folder: SweepFolder) -> None:
    with hold_lease(folder), hold_lease(SweepFolder(Storage.at("runs/other"))):
        assert current_holder(folder) is not None


def test_the_lock_of_a_dead_process_is_taken_over(folder: SweepFolder) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    hold(folder, Holder(socket.gethostname(), process.pid, "2024-05-01T10:00:00", "12345"))
    with hold_lease(folder):
        holder = current_holder(folder)
        assert holder is not None
        assert holder.pid == os.getpid()


def test_a_later_process_with_the_same_number_is_not_the_holder(folder: SweepFolder) -> None:
    hold(folder, Holder(socket.gethostname(), os.getpid(), "2024-05-01T10:00:00", "1"))
    with hold_lease(folder):
        pass


def test_another_hosts_process_counts_as_alive_while_it_beats(folder: SweepFolder) -> None:
    hold(folder, Holder("elsewhere", os.getpid(), "2024-05-01T10:00:00", ""))
    with pytest.raises(RefusedError, match="already running on elsewhere"), hold_lease(folder):
        pytest.fail("two drivers at once")


def test_a_silent_lock_is_taken_over_and_its_driver_notices(folder: SweepFolder) -> None:
    silent = Holder("elsewhere", 1, "2024-05-01T10:00:00", "", beat=time.time() - DEAD_AFTER_S - 1)
    hold(folder, silent)
    with hold_lease(folder) as reign:
        assert read_orders(folder, silent.token) is DriverOrders.SUPERSEDED
        assert read_orders(folder, reign.token) is DriverOrders.GO_ON
        # The other was suspended, and comes to itself.
        other = DriverLease(folder, silent)
        other.renew()
        assert f"process {os.getpid()}) has taken the sweep over" in str(other.lost)
        other.release()
        assert reign.lost is None
        holder = current_holder(folder)
        assert holder is not None
        assert holder.token == reign.token


def test_workers_are_told_to_stop(folder: SweepFolder) -> None:
    with hold_lease(folder) as reign:
        reign.stop()
        deadline = time.monotonic() + 20
        while read_orders(folder, reign.token) is not DriverOrders.STOP:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    with pytest.raises(FileNotFoundError, match=r"has disappeared, or its driver\.lock"):
        read_orders(folder, reign.token)


def test_the_workers_of_a_silent_driver_stop(folder: SweepFolder) -> None:
    silent = Holder("elsewhere", 1, "2024-05-01T10:00:00", "", beat=time.time() - DEAD_AFTER_S - 1)
    hold(folder, silent)
    assert read_orders(folder, silent.token) is DriverOrders.STOP


def test_a_folder_that_disappears_is_not_made_anew(folder: SweepFolder) -> None:
    with hold_lease(folder) as reign:
        shutil.rmtree("runs")
        reign.renew()
        assert "has disappeared" in str(reign.lost)
    assert not Path("runs").exists()


RUN = """
import sys, time
from sweep.errors import RefusedError
from sweep.records.lease import hold_lease
from sweep.records.record import SweepFolder
from sweep.records.storage import Storage

print("ready", flush=True)
sys.stdin.readline()
try:
    with hold_lease(SweepFolder(Storage.at("runs/small"))):
        print("drives", flush=True)
        time.sleep(5)
except RefusedError as error:
    print(error, flush=True)
"""


@pytest.mark.parametrize("left_behind", [False, True])
def test_of_processes_that_begin_at_once_one_drives(folder: SweepFolder, left_behind: bool) -> None:
    if left_behind:
        hold(folder, Holder(socket.gethostname(), 1, "2024-05-01T10:00:00", "no such start"))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0] for process in processes]
    assert said.count("drives\n") == 1, said
    refusals = [line for line in said if line != "drives\n"]
    assert len(refusals) == 3
    assert all("process" in line and "since" in line for line in refusals), said


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": "x"}', b"\xff"])
def test_a_lock_that_says_nothing_holds_nothing(folder: SweepFolder, content: bytes) -> None:
    folder.storage.write(LEASE_FILE, content)
    with hold_lease(folder):
        pass


def test_a_driver_does_not_delete_the_lock_of_another(folder: SweepFolder) -> None:
    other = Holder("elsewhere", 1, "2024-05-01T10:00:00", "")
    with hold_lease(folder) as reign:
        hold(folder, other)
        reign.renew()
        assert reign.lost == "a `run` on elsewhere (process 1) has taken the sweep over"
    assert current_holder(folder) == other
