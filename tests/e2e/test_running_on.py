"""Sweeps that meet an error, a lost worker, a dead terminal or a changed grid, and go on."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from user_folder import Folder, Start
from waiting import until

ODD = """
from torch import nn

class Odd(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(2, num_channels)
    def forward(self, x):
        if x.requires_grad and x.shape[0] == 2:
            raise RuntimeError("cannot do two")
        return super().forward(x)
"""
MORTAL = """
import os, signal, time
from torch import nn

class Mortal(nn.GroupNorm):
    began = None
    def __init__(self, num_channels):
        super().__init__(2, num_channels)
    def forward(self, x):
        if x.requires_grad:
            Mortal.began = Mortal.began or time.monotonic()
            time.sleep(0.02)
            if time.monotonic() - Mortal.began > 2.5:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)
"""
SLOW = """
import time
from torch import nn

class Slow(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(2, num_channels)
    def forward(self, x):
        if x.requires_grad:
            time.sleep(0.02)
        return super().forward(x)
"""
FAILING = """
import time
from pathlib import Path
import ray
from torch import nn

class Failing(nn.GroupNorm):
    waited = False
    def __init__(self, num_channels):
        super().__init__(2, num_channels)
        if ray.is_initialized() and Path({place!r}).exists() and not Failing.waited:
            Failing.waited = True
            Path({place!r} + "-begun").touch()
            time.sleep(5)
    def forward(self, x):
        if x.requires_grad:
            raise RuntimeError("always")
        return super().forward(x)
"""


@pytest.mark.slow
def test_a_report_is_of_the_grid_as_it_stands_now(folder: Folder) -> None:
    folder.grid(train={"epochs": 1, "optimizer": {"lr": 0.02}})
    assert folder.sweep("run", "grid.yaml").returncode == 0
    folder.grid(train={"epochs": 2, "optimizer": {"lr": 0.02}})
    done = folder.sweep("run", "grid.yaml", "--report", "report")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 trials have a result" in done.stdout
    written = (folder.path / "report/report.md").read_text()
    assert "4 trials are left out: their sweep's grid no longer asks for them" in written
    assert len(folder.records()) == 8
    by_hand = folder.python("analysis", "report", "small", "--out", "by-hand")
    assert by_hand.returncode == 0, by_hand.stderr
    assert (folder.path / "by-hand/report.md").read_text() == written


@pytest.mark.slow
def test_a_report_that_fails_reaches_the_exit_code(folder: Folder) -> None:
    folder.grid()
    assert folder.sweep("run", "grid.yaml").returncode == 0
    (folder.path / "file").touch()
    refused = folder.sweep("run", "grid.yaml", "--report", "file/report")
    assert refused.returncode == 2
    assert "--report file/report: expected a folder, found the file" in refused.stderr
    (folder.path / "report/report.html").mkdir(parents=True)  # which cannot be overwritten
    failed = folder.sweep("run", "grid.yaml", "--report", "report")
    assert failed.returncode == 4, failed.stdout + failed.stderr
    assert "no report is written to report: `python -m analysis report` ended" in failed.stdout


@pytest.mark.slow
def test_a_layer_that_fails_at_one_batch_size_stops_its_cell_alone(folder: Folder) -> None:
    (folder.path / "layers.py").write_text(ODD)
    norms = ["batchnorm", "groupnorm", "layers:Odd"]
    folder.grid(
        factors={"norm": norms, "batch_size": [16, 2], "seed": 6},
        train={"epochs": 1, "optimizer": {"lr": 0.02}},
    )
    done = folder.sweep("run", "grid.yaml")
    assert done.returncode == 3, done.stdout + done.stderr
    records = folder.records()
    completed = [r for r in records.values() if r["outcome"] == "completed"]
    failed = [r for r in records.values() if r["outcome"] == "failed"]
    assert len(completed) == 30
    assert {(r["spec"]["norm"]["name"], r["spec"]["batch_size"]) for r in failed} == {
        ("layers:Odd", 2)
    }
    assert 3 <= len(failed) < 6
    assert f"{6 - len(failed)} missing" in done.stdout
    assert "layers:Odd-bs002 stopped, because several trials ended in the same error" in done.stdout


@pytest.mark.slow
def test_a_trial_that_gets_further_with_each_worker_that_it_loses_comes_to_its_end(
    folder: Folder,
) -> None:
    (folder.path / "layers.py").write_text(MORTAL)
    folder.grid(
        factors={"norm": ["layers:Mortal"], "batch_size": [2], "seed": 1},
        train={"epochs": 1, "optimizer": {"lr": 0.02}},
        data={"name": "digits", "num_train": 160, "num_test": 40},
        reference=None,
        checkpoint_every_s=0.5,
    )
    done = folder.sweep("run", "grid.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = folder.records().values()
    lost = [attempt for attempt in record["attempts"] if attempt["ended"] is None]
    assert len(lost) >= 4
    steps = [attempt["from_step"] for attempt in record["attempts"]]
    assert steps == sorted(set(steps))


@pytest.mark.slow
def test_a_terminal_that_is_closed_has_trials_put_aside(folder: Folder) -> None:
    (folder.path / "layers.py").write_text(SLOW)
    folder.grid(
        factors={"norm": ["layers:Slow"], "batch_size": [2], "seed": 2},
        reference=None,
        checkpoint_every_s=1000,
    )
    main, side = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sweep", "run", "grid.yaml"],
        cwd=folder.path,
        env=folder.environment(TERM="xterm"),
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(side)
    os.set_blocking(main, False)
    deadline = time.monotonic() + 180
    while len(folder.records()) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None
        try:
            os.read(main, 100_000)
        except BlockingIOError:
            time.sleep(0.1)
    time.sleep(2)
    os.close(main)  # SIGHUP reaches every process of the terminal
    assert process.wait(timeout=60) == 3
    for record in folder.records().values():
        assert record["attempts"][-1]["stopped_for"] == "interrupted"
        (kept,) = (folder.path / "runs/small/trials" / record["trial_id"]).glob("checkpoint-*.pt")
        assert "-step-" in kept.name


@pytest.mark.slow
def test_an_interrupt_before_a_retried_trial_has_begun_trains_nothing(
    folder: Folder, start: Start
) -> None:
    place = folder.path / "wait"
    (folder.path / "layers.py").write_text(FAILING.format(place=str(place)))
    folder.grid(factors={"norm": ["layers:Failing"], "batch_size": [8], "seed": 1}, reference=None)
    assert folder.sweep("run", "grid.yaml").returncode == 1
    place.touch()
    process = start("run", "grid.yaml", "--retry", "failed")
    until(Path(f"{place}-begun").exists, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    assert "1 trial: 1 missing; trained now: 0" in output
    assert "1 failed" not in output
