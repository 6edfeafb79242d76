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
        (
            newer,
            "has record_version 7, but this program knows versions up to 1; update the program",
        ),
        (newer[:30], "not a record"),
    ):
        place.write_bytes(content)
        refused = folder.sweep(command, "grid.yaml")
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"{place}: {said}")
        assert place.read_bytes() == content
        assert [file.name for file in place.parent.iterdir()] == ["record.json"]


def test_all_damaged_records_are_named_at_once_and_status_shows_the_rest(folder: Folder) -> None:
    folder.grid(factors={"norm": ["batchnorm"], "batch_size": [16, 8], "seed": 2})
    program = (
        "from sweep import load_grid; print(*[t.trial_id for t in load_grid('grid.yaml').trials])"
    )
    trials = folder.python_code(program).stdout.split()
    places = [folder.path / "runs/small/trials" / t / "record.json" for t in trials[:3]]
    for place in places:
        place.parent.mkdir(parents=True)
        place.write_bytes(b"{")
    for command in ("run", "plan", "sync", "status"):
        refused = folder.sweep(command, "grid.yaml")
        assert refused.returncode == 2
        lines = refused.stderr.splitlines()
        for place, line in zip(places, lines, strict=True):
            assert line.startswith(f"{place}: not a record: ")
            assert "put back a copy of it, or delete it to train the trial again" in line
    assert "4 trials: 3 not readable, 1 missing" in refused.stdout


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
