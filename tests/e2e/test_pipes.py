"""A reader of the output who leaves before the end, as `head` does, is no error."""

from __future__ import annotations

import subprocess
import sys

import pytest
from user_folder import Folder


def piped(folder: Folder, command: str) -> tuple[list[int], str]:
    """The exit codes of the command and of a reader that leaves at once, and what is on stderr."""
    script = f"{sys.executable} -m sweep {command} | true; echo ${{PIPESTATUS[@]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder.path,
        env=folder.environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    return [int(code) for code in done.stdout.split()], done.stderr


def test_a_plan_and_a_status_that_nobody_reads(folder: Folder) -> None:
    folder.grid()
    for command in ("plan", "status"):
        assert piped(folder, f"{command} grid.yaml") == ([0, 0], "")


@pytest.mark.slow
def test_a_run_that_nobody_reads_trains_on(folder: Folder) -> None:
    folder.grid()
    assert piped(folder, "run grid.yaml") == ([0, 0], "")
    assert [record["outcome"] for record in folder.records().values()] == ["completed"] * 4
