from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from sweep.errors import RefusedError
from sweep.records.storage import Storage


@pytest.fixture(params=["path", "pyarrow"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    place = tmp_path / "some runs"
    return Storage(str(place)) if request.param == "path" else Storage(place.as_uri())


def test_files_come_back_as_written_and_go_when_deleted(storage: Storage) -> None:
    folder = storage.below("sweep", "trials")
    assert folder.names() == []
    folder.write("a.json", b"one")
    folder.write("a.json", b"two\x00\xff")
    folder.write("b", b"")
    assert folder.read("a.json") == b"two\x00\xff"
    assert folder.read("b") == b""
    assert folder.names() == ["a.json", "b"]
    assert storage.below("sweep").names() == ["trials"]
    folder.delete("a.json")
    folder.delete("a.json")
    assert folder.names() == ["b"]
    with pytest.raises(FileNotFoundError):
        folder.read("a.json")


def test_a_file_is_created_once(storage: Storage) -> None:
    folder = storage.below("sweep")
    assert folder.create("lock", b"first")
    assert not folder.create("lock", b"second")
    assert folder.read("lock") == b"first"
    folder.delete("lock")
    assert folder.create("lock", b"third")


def test_of_many_that_create_at_once_one_wins() -> None:
    folder = Storage.at("runs")
    barrier = Barrier(16)

    def create(number: int) -> bool:
        barrier.wait()
        return folder.create("lock", b"%d" % number)

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(create, range(16)))
    assert sum(won) == 1
    assert folder.read("lock") == b"%d" % won.index(True)


def test_a_probe_leaves_nothing_behind(storage: Storage) -> None:
    storage.require_writable()
    assert storage.names() == []


def test_both_ways_reach_the_same_files(tmp_path: Path) -> None:
    Storage(tmp_path.as_uri()).below("x").write("f", b"1")
    assert Storage.at("x").read("f") == b"1"


def test_places() -> None:
    here = Path.cwd()
    assert Storage.at("runs").uri == str(here / "runs")
    assert Storage.at("~/runs").uri == str(Path.home() / "runs")
    assert Storage.at("/mnt/runs/").below("x").uri == "/mnt/runs/x"
    assert Storage.at("s3://bucket/runs/").below("x", "y").uri == "s3://bucket/runs/x/y"
    assert not Storage.at("s3://bucket/runs").is_local
    # Local files are replaced whole only by the machine's own calls.
    assert Storage.at((here / "a b").as_uri()) == Storage.at("a b")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a/", "../x", "./x"])
def test_names_that_lead_elsewhere_are_refused(storage: Storage, name: str) -> None:
    with pytest.raises(ValueError, match="expected the plain name of a file or folder"):
        storage.below("fine", name)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_writer_that_is_cut_off_leaves_the_old_file(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage.at("runs")
    storage.write("record.json", b"old")

    def cut_off(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, cut_off)
        with pytest.raises(Killed):
            storage.write("record.json", b"new, and longer")
    assert storage.read("record.json") == b"old"
    assert storage.names() == ["record.json"]
    storage.write("record.json", b"new")
    assert storage.read("record.json") == b"new"


def test_content_reaches_the_disk_before_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(file: int) -> None:
        order.append("fsync")
        fsync(file)

    def noted_replace(source: Path, target: Path) -> None:
        order.append(f"replace {target.name}: {source.read_bytes().decode()}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    Storage.at("runs").write("record.json", b"content")
    assert order == ["fsync", "replace record.json: content"]


@pytest.mark.parametrize("place", ["occupied/runs", "nowhere://bucket/runs", "s3://"])
def test_a_place_that_cannot_be_written_is_refused_in_one_line(place: str) -> None:
    Path("occupied").write_text("a file")
    with pytest.raises(
        RefusedError, match=r"^storage .* cannot be (written|reached): \S"
    ) as caught:
        Storage.at(place).require_writable()
    (message,) = caught.value.messages
    assert "\n" not in message
