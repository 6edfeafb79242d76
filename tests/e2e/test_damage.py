"""Records that cannot be trusted and storage that cannot be written are refused, and left alone."""

from __future__ import annotations

import json
import subprocess

import pytest
from user_folder import Folder


@pytest.mark.parametrize("command", ["run", "status", "sync"])
def test_a_record_that_cannot_be_read_is_one_line_and_stays_as_it_is(
    command: str, folder: Folder
) -> None:
    folder.grid()
    plan = folder.python("sweep", "plan", "grid.yaml")
    assert plan.returncode == 0, plan.stderr
    trial_id = first_trial(folder)
    place = folder.path / "runs/small/trials" / trial_id / "record.json"
    place.parent.mkdir(parents=True)
    newer = json.dumps({"record_version": 7, "trial_id": trial_id, "surprise": True}).encode()
    for content, said in (
        (newer, "has version 7, but this program knows versions up to 1; update the program"),
        (newer[:30], "not a record"),
    ):
        place.write_bytes(content)
        refused = folder.sweep(command, "grid.yaml")
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"{place}: {said}")
        assert place.read_bytes() == content
        assert [file.name for file in place.parent.iterdir()] == ["record.json"]


def first_trial(folder: Folder) -> str:
    program = "from sweep import load_grid; print(load_grid('grid.yaml').trials[0].trial_id)"
    return folder.python_code(program).stdout.strip()


def test_storage_that_may_only_be_read_is_refused(folder: Folder) -> None:
    disk = folder.path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], check=False).returncode:
        pytest.skip("only root can mount a disk that is read-only for root")
    try:
        folder.grid(storage=str(disk))
        refused = folder.sweep("run", "grid.yaml")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line == f"storage {disk}/small cannot be written: Read-only file system"
