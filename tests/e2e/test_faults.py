"""Kills, interrupts, a full disk and a folder that disappears, within an epoch that takes long."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from marked_processes import kill_marked, left_after
from user_folder import Folder, Start

SLOW_LAYER = """
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


@pytest.fixture
def slow_grid(folder: Folder) -> None:
    """Two trials, whose epochs of 32 steps take six seconds each at least."""
    (folder.path / "slow_layers.py").write_text(SLOW_LAYER)
    folder.grid(
        factors={"norm": ["slow_layers:Slow"], "batch_size": [2], "seed": 2},
        train={"epochs": 2, "optimizer": {"lr": 0.02}},
        reference=None,
        checkpoint_every_s=1,
    )


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)


def checkpoints_within_epochs(folder: Folder) -> list[Path]:
    return list((folder.path / "runs/small/trials").glob("*/checkpoint-*-step-*.pt"))


def assert_all_is_as_if_undisturbed(folder: Folder) -> None:
    """Every epoch once, and the bits of the same trial trained in one go without Ray."""
    records = folder.records()
    assert len(records) == 2
    for record in records.values():
        assert record["outcome"] == "completed"
        assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2]
        trial_id, attempts = record["trial_id"], record["attempts"]
        if not any(attempt["from_step"] for attempt in attempts):
            continue  # it had the luck not to be disturbed
        again = folder.sweep("reproduce", "grid.yaml", trial_id)
        assert again.returncode == 0, again.stdout + again.stderr
        assert "final weights: same bits" in again.stdout
    assert folder.mlflow_rows("select count(*) from metrics where key='test_error'") == [(4,)]
    statuses = folder.mlflow_rows("select status from runs")
    assert statuses == [("FINISHED",)] * 2


@pytest.mark.slow
@pytest.mark.usefixtures("slow_grid")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_puts_trials_aside_within_their_epoch(
    number: signal.Signals, folder: Folder, start: Start
) -> None:
    process = start("run", "grid.yaml")
    until(lambda: len(folder.records()) == 2, process)
    time.sleep(3)
    process.send_signal(number)
    output, _ = process.communicate(timeout=45)  # half a minute on a machine of its own
    assert process.returncode == 3, output
    assert "trials are being put aside" in output
    for record in folder.records().values():
        assert record["attempts"][-1]["stopped_for"] == "interrupted"
    status = folder.sweep("status", "grid.yaml").stdout
    assert status.count("interrupted") == 2
    assert "lost" not in status
    assert "nobody is running it" in status

    resumed = folder.sweep("run", "grid.yaml")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "going on: 0 trials done before, 2 from their last checkpoints, 0" in resumed.stdout
    for record in folder.records().values():
        last = record["attempts"][-1]
        assert (last["from_epoch"], last["from_step"]) > (0, 0)
    assert_all_is_as_if_undisturbed(folder)


@pytest.mark.slow
@pytest.mark.usefixtures("slow_grid")
def test_a_second_interrupt_ends_at_once(
    folder: Folder, start: Start, mark: dict[str, str]
) -> None:
    process = start("run", "grid.yaml")
    until(lambda: checkpoints_within_epochs(folder), process)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert any("once more to end at once" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    assert output.endswith("interrupted; run the same command again to go on\n")
    assert left_after(mark, 60) == []
    resumed = folder.sweep("run", "grid.yaml")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert_all_is_as_if_undisturbed(folder)


@pytest.mark.slow
@pytest.mark.usefixtures("slow_grid")
def test_a_torn_checkpoint_is_told_and_the_one_before_it_is_used(
    folder: Folder, start: Start, mark: dict[str, str]
) -> None:
    process = start("run", "grid.yaml")
    until(lambda: len(newest_checkpoints(folder)) == 2, process)
    kill_marked(mark)
    process.wait()
    torn = newest_checkpoints(folder)
    for place in torn:
        place.write_bytes(place.read_bytes()[:-100])
    resumed = folder.sweep("run", "grid.yaml")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    for place in torn:
        assert f"{place}: damaged; the trial goes on from epoch " in resumed.stdout
    assert_all_is_as_if_undisturbed(folder)


def newest_checkpoints(folder: Folder) -> list[Path]:
    """The newest of two checkpoints, of each trial that has two."""
    trials = folder.path.glob("runs/small/trials/*")
    kept = [sorted(trial.glob("checkpoint-*.pt"), key=lambda p: p.stem) for trial in trials]
    return [names[-1] for names in kept if len(names) > 1]


def victims(process: subprocess.Popen[str], whom: str) -> list[psutil.Process]:
    below = psutil.Process(process.pid).children(recursive=True)
    named = {
        "worker": [p for p in below if "Trainable" in " ".join(p.cmdline())],
        "raylet": [p for p in below if p.name() == "raylet"],
        "driver": [psutil.Process(process.pid)],
    }
    return named[whom] if whom in named else [psutil.Process(process.pid), *below]


@pytest.mark.slow
@pytest.mark.usefixtures("slow_grid")
@pytest.mark.parametrize(
    "whom",
    ["driver", "worker", "raylet", "everything"],
)
def test_a_kill_within_an_epoch_costs_seconds_and_no_bit(
    whom: str, folder: Folder, start: Start
) -> None:
    process = start("run", "grid.yaml")
    until(lambda: checkpoints_within_epochs(folder), process)
    below = psutil.Process(process.pid).children(recursive=True)
    for victim in victims(process, whom):
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    output, _ = process.communicate(timeout=240)
    if whom == "worker":
        assert "its worker died; it goes on from what is kept (epoch 0 of 2 was" in output
    ended = {"worker": [0], "raylet": [0, 3]}.get(whom, [-signal.SIGKILL])
    assert process.returncode in ended  # workers may come to the end without their raylet
    if process.returncode != 0:
        _, alive = psutil.wait_procs(below, timeout=60)
        assert not alive, [p.cmdline() for p in alive]
        assert "lost)" in folder.sweep("status", "grid.yaml").stdout
        resumed = folder.sweep("run", "grid.yaml")
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    if whom == "worker" or process.returncode != 0:
        records = folder.records().values()
        assert any(a["from_step"] > 0 for record in records for a in record["attempts"])
    assert_all_is_as_if_undisturbed(folder)


@pytest.fixture
def small_disk(folder: Folder) -> Iterator[Path]:
    """A disk of 300 kB."""
    place = folder.path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place]).returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_what_was_valid_stays(folder: Folder, small_disk: Path) -> None:
    folder.grid(storage=str(small_disk), train={"epochs": 20, "optimizer": {"lr": 0.02}})
    full = folder.sweep("run", "grid.yaml")
    assert full.returncode == 3, full.stdout + full.stderr
    lines = [line for line in full.stdout.splitlines() if "No space left on device" in line]
    assert len(lines) == 1
    assert lines[0].startswith("stopped: ")
    assert "Traceback" not in full.stdout + full.stderr
    subprocess.run(["mount", "-o", "remount,size=30m", small_disk], check=True)
    resumed = folder.sweep("run", "grid.yaml")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("slow_grid")
def test_a_storage_that_disappears_ends_the_run_and_stays_away(
    folder: Folder, start: Start
) -> None:
    process = start("run", "grid.yaml")
    until(lambda: checkpoints_within_epochs(folder), process)
    shutil.rmtree(folder.path / "runs")
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 3, output
    assert output.count("has disappeared") == 1
    assert "Traceback" not in output
    assert not (folder.path / "runs").exists()
    resumed = folder.sweep("run", "grid.yaml")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert (folder.path / "runs/small/sweep.json").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("slow_grid")
def test_a_suspended_driver_that_was_replaced_stops_without_writing(
    folder: Folder, start: Start
) -> None:
    process = start("run", "grid.yaml")
    until(lambda: len(folder.records()) == 2, process)
    os.kill(process.pid, signal.SIGSTOP)
    lock = folder.path / "runs/small/driver.lock"
    content = lock.read_text()
    beat = content.split('"beat": ')[1].split(",")[0]
    lock.write_text(content.replace(beat, str(float(beat) - 1000)))  # as if so long ago
    second = folder.sweep("run", "grid.yaml")
    assert second.returncode == 0, second.stdout + second.stderr
    before = folder.records()
    os.kill(process.pid, signal.SIGCONT)
    output, _ = process.communicate(timeout=90)
    assert process.returncode in (0, 3), output
    assert folder.records() == before
    assert_all_is_as_if_undisturbed(folder)
