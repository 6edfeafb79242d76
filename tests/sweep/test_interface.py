"""The Python interface: from a mapping to results, with nothing printed and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from small_grids import SMALL, load, record_of, save, write

import sweep
from sweep.events import Event, StageStarted, TrialEnded
from trainables.spec import Outcome

TINY: dict[str, Any] = {
    **SMALL,
    "factors": {"norm": ["batchnorm", "groupnorm"], "batch_size": [16], "seed": 1},
    "data": {"name": "digits", "num_train": 32, "num_test": 32},
    "train": {"epochs": 1, "optimizer": {"lr": 0.02}},
}
"""Two trials of two steps."""


@pytest.fixture(autouse=True)
def own_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")


def with_seeds(number: int) -> sweep.Grid:
    return sweep.load_grid({**TINY, "factors": {**TINY["factors"], "seed": number}})


def in_a_thread(call: Callable[[], sweep.RunResult]) -> sweep.RunResult:
    results: list[sweep.RunResult] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def test_a_grid_runs_from_a_mapping_in_a_loop_and_in_a_thread_and_leaves_no_trace(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def run_in_loop() -> sweep.RunResult:
        return sweep.run(with_seeds(2))

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    environment, handlers = dict(os.environ), [signal.getsignal(number) for number in numbers]
    folder = Path.cwd()
    events: list[Event] = []
    result = sweep.run(with_seeds(1), on_event=events.append)
    assert (result.num_trained, result.num_missing, result.num_failed) == (2, 0, 0)
    assert not result.is_interrupted
    assert result.export.error is None
    assert [trial.outcome for trial in result.trials] == [Outcome.COMPLETED] * 2
    ended = [event for event in events if isinstance(event, TrialEnded)]
    assert {event.trial.name for event in ended} == {trial.name for trial in result.trials}
    assert {event.test_error for event in ended} == {trial.test_error for trial in result.trials}
    again = asyncio.run(run_in_loop())  # as in a notebook's cell
    assert (again.num_trained, again.num_missing) == (2, 0)
    last = in_a_thread(lambda: sweep.run(with_seeds(3)))
    assert (last.num_trained, last.num_missing) == (2, 0)
    assert dict(os.environ) == environment
    assert [signal.getsignal(number) for number in numbers] == handlers
    assert Path.cwd() == folder
    assert capfd.readouterr() == ("", "")
    status = sweep.status(with_seeds(3))
    assert not status.is_running
    assert [trial.outcome for trial in status.trials] == [Outcome.COMPLETED] * 6
    assert sweep.sync(with_seeds(3)).num_records == 6


def test_an_error_of_the_observer_stops_the_sweep_and_is_raised_and_nothing_stays_behind() -> None:
    def fails(event: Event) -> None:
        if isinstance(event, TrialEnded):
            raise LookupError("a bug of the observer")

    grid = with_seeds(1)
    with pytest.raises(LookupError, match="a bug of the observer"):
        sweep.run(grid, on_event=fails)
    assert not [child for child in psutil.Process().children() if "spawn_main" in command(child)]
    assert Outcome.COMPLETED in {trial.outcome for trial in sweep.status(grid).trials}


def command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


SCRIPT = """
import signal, sys
import sweep
from sweep.events import EpochEnded

grid = sweep.load_grid("grid.yaml")

def run_and_interrupt():
    interrupted = []

    def interrupt(event):
        if isinstance(event, EpochEnded) and not interrupted:
            interrupted.append(event)
            signal.raise_signal(signal.SIGINT)

    result = sweep.run(grid, on_event=interrupt)
    assert result.is_interrupted and result.num_missing, result
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return sum(trial.epochs_done for trial in result.trials)

first = run_and_interrupt()
assert 0 < first < run_and_interrupt()
"""


@pytest.mark.parametrize("as_file", [True, False])
def test_an_interrupt_suspends_a_script_without_a_guard_and_the_next_run_resumes(
    as_file: bool,
) -> None:
    write(
        factors={"norm": ["batchnorm", "groupnorm"], "batch_size": [8], "seed": 1},
        train={"epochs": 100_000, "optimizer": {"lr": 0.02}},
    )
    Path("script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py" if as_file else "-"],
        input=None if as_file else SCRIPT,
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_plan_counts_what_is_missing_and_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    grid = load()
    save(grid, record_of(grid.trials[0], 3, Outcome.COMPLETED))
    events: list[Event] = []
    plan = sweep.plan(grid, on_event=events.append)
    assert len(plan.missing) == 7
    assert plan.expected_s is not None
    assert plan.slots >= 1
    assert StageStarted("check cells", "checking 4 cells") in events  # type: ignore[arg-type]
    assert capfd.readouterr() == ("", "")


def test_a_mapping_and_its_file_mean_the_same_trials() -> None:
    from_file, from_mapping = load(), sweep.load_grid(SMALL)
    assert from_mapping.trials == from_file.trials
    assert (from_mapping.name, from_mapping.storage) == (from_file.name, from_file.storage)
    changed = sweep.load_grid(SMALL, ["train.epochs=7"])
    assert {trial.spec.train.epochs for trial in changed.trials} == {7}
    assert len(sweep.load_grid(SMALL, scale="small").trials) == 8


def test_text_of_a_mapping_stays_text() -> None:
    with pytest.raises(sweep.GridError, match=r"train\.epochs: expected a whole number"):
        sweep.load_grid({**SMALL, "train": {**SMALL["train"], "epochs": "1e1"}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"name": "resnet9"}}, "model.name: "),
        ({"factors": {**TINY["factors"], "norm": ["batchnrm"]}}, "factors.norm[0]: "),
        ({"name": object()}, "name: expected a number, text, list or mapping, found a object"),
        ({"train": {1: 2}}, "train: expected text as a key, found 1"),
        ({"name": "a\x1bb"}, "not valid YAML: control characters in a text: a\\x1bb"),
    ],
)
def test_a_wrong_mapping_is_refused_by_dotted_key_without_a_line(
    changes: dict[Any, Any], message: str
) -> None:
    with pytest.raises(sweep.GridError) as caught:
        sweep.load_grid({**SMALL, **changes})
    assert caught.value.messages[0].startswith(message)
    assert {problem.line for problem in caught.value.problems} == {0}


def test_a_mapping_within_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["data"] = endless
    with pytest.raises(sweep.GridError, match="nested too deeply"):
        sweep.load_grid(endless)


def test_every_error_is_of_one_family() -> None:
    with pytest.raises(sweep.SweepError, match="no such file"):
        sweep.load_grid("absent.yaml")
    with pytest.raises(sweep.SweepError, match="scale: expected full or small, found 'tiny'"):
        sweep.load_grid(SMALL, scale="tiny")
    with pytest.raises(sweep.SweepError, match="retry: expected failed or out_of_memory"):
        sweep.run(load(), retry=["completed"])
    with pytest.raises(sweep.SweepError, match="holds no records yet"):
        sweep.sync(load())
    with pytest.raises(sweep.SweepError, match="has no trial 'groupnorm'"):
        sweep.reproduce(load(), "groupnorm")
    for error in (
        *(sweep.GridError, sweep.RefusedError, sweep.NotStartedError, sweep.StorageError),
        sweep.RecordDamagedError,
    ):
        assert issubclass(error, sweep.SweepError)


def test_a_connection_to_ray_that_is_there_already_is_refused_and_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected = SimpleNamespace(is_initialized=lambda: True)
    monkeypatch.setitem(sys.modules, "ray", connected)
    for call in (sweep.run, sweep.rehearse):
        with pytest.raises(sweep.RefusedError, match=r"call `ray.shutdown\(\)` first"):
            call(load())


def test_storage_that_cannot_be_read_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = load()

    def fails(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/runs/small")

    monkeypatch.setattr("sweep.planning.trial_states.sweep_folder", fails)
    with pytest.raises(sweep.StorageError, match=r"^/runs/small: Permission denied$"):
        sweep.status(grid)


def test_a_damaged_record_is_named_by_a_status_and_raised_by_a_run() -> None:
    grid = load()
    states = save(grid, record_of(grid.trials[0], 1))
    states.folder.trial(grid.trials[0].trial_id).storage.write("record.json", b"{")
    (line,) = sweep.status(grid).damaged
    assert grid.trials[0].trial_id in line
    with pytest.raises(sweep.RecordDamagedError, match=grid.trials[0].trial_id):
        sweep.run(grid)


def test_a_trial_is_trained_again_and_its_lines_are_returned() -> None:
    grid = sweep.load_grid(TINY)
    lines: list[Event] = []
    found = sweep.reproduce(grid, "groupnorm-bs016-s0", on_event=lines.append)
    assert found.is_same
    assert found.lines[0] == f"groupnorm-bs016-s0 ({grid.trials[1].trial_id})"
    assert found.lines[1] == "it has no record: there is nothing to compare with"
    assert len(lines) == len(found.lines) == 3
