from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.resources.gpu_sharing import mps
from sweep.resources.gpu_sharing.mps import Mps


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without MPS, as far as its folders say."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "pipes").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path / "pipes"))
    return tmp_path


def install(machine: Path) -> None:
    program = machine / "bin" / "nvidia-cuda-mps-control"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)


def test_without_the_program_it_is_missing_and_with_it_off(machine: Path) -> None:
    assert mps.mps_state() is Mps.MISSING
    install(machine)
    assert mps.mps_state() is Mps.OFF
    assert "`nvidia-cuda-mps-control -d`" in mps.format_mps_state(Mps.OFF)


def test_a_living_daemon_is_found_by_the_process_that_it_names(machine: Path) -> None:
    install(machine)
    (machine / "pipes" / "nvidia-cuda-mps-control.pid").write_text(f"{os.getpid()}\n")
    assert mps.mps_state() is Mps.ON
    assert mps.format_mps_state(mps.mps_state()) == "MPS is on"


def test_what_a_dead_daemon_left_behind_is_none(machine: Path) -> None:
    install(machine)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    pid = machine / "pipes" / "nvidia-cuda-mps-control.pid"
    for content in (f"{dead.pid}", "", "no number"):
        pid.write_text(content)
        assert mps.mps_state() is Mps.OFF
