"""What strikes while Ray starts ends the command in a line, and leaves nothing running."""

from __future__ import annotations

import signal

import psutil
import pytest
from marked_processes import command, kill, left_after, marked
from user_folder import Folder, Start
from waiting import until

RAYS_OWN_END_S = 60
Mark = dict[str, str]


def of_ray(mark: Mark) -> list[psutil.Process]:
    return [process for process in marked(mark) if "gcs_server" in command(process)]


@pytest.mark.slow
def test_a_ray_that_dies_as_it_starts_is_told_in_a_line(
    folder: Folder, start: Start, mark: Mark
) -> None:
    folder.grid()
    process = start("run", "grid.yaml")
    until(lambda: of_ray(mark), process)
    kill(of_ray(mark)[0])
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 3, output
    assert "Ray does not start on this machine: " in output
    assert "Traceback" not in output
    assert left_after(mark, RAYS_OWN_END_S) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_ray_starts_interrupts(
    number: signal.Signals, folder: Folder, start: Start, mark: Mark
) -> None:
    folder.grid()
    process = start("run", "grid.yaml")
    until(lambda: of_ray(mark), process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    assert "interrupted" in output
    assert "asks Python to exit" not in output
    assert left_after(mark, RAYS_OWN_END_S) == []
    assert folder.records() == {}
