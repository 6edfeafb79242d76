from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from small_grids import board, factors, load, record_of

from sweep.display.live_view import (
    MAX_RUNNING_ROWS,
    LiveView,
    error_table,
    format_duration,
    format_trial_end,
)
from sweep.display.observer import live_display
from sweep.events import make_trial_ended, report_training
from sweep.execution.state import SweepState
from trainables.spec import Outcome

WIDTH = 80


def rendered(renderable: Any, width: int = WIDTH) -> str:
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(renderable)
    text = console.export_text()
    assert max(map(cell_len, text.splitlines())) <= width
    return text


@contextmanager
def shown(state: SweepState, console: Console) -> Iterator[None]:
    """Have the console show what happens to the state within the block."""
    with live_display(console) as on_event, report_training(on_event, state):
        yield


def wide_board() -> SweepState:
    """Norms with long labels, many batch sizes and a further factor: nothing fits by itself."""
    options = {"num_groups": 8, "reduction": 4, "key_features": "channel", "bias": "before"}
    norms = ["batchnorm", "assocnorm", {"name": "assocnorm", **options}]
    levels = factors(norm=norms, batch_size=[2**i for i in range(12, -1, -1)], seed=1)
    levels["factors"]["train.schedule.milestones"] = [[1], [1, 2]]
    train = {"epochs": 3, "schedule": {"name": "multistep", "milestones": [1]}}
    data = {"name": "cifar10"}
    grid = load(**levels, train=train, data=data, name="a-" + "very-" * 17 + "long-name")
    return board(grid, *(record_of(t, 3, Outcome.COMPLETED) for t in grid.trials[:20]))


def test_plain_lines_where_there_is_no_terminal() -> None:
    grid = load()
    state = board(grid, record_of(grid.trials[0], 3, Outcome.COMPLETED), slots=16)
    console = Console(file=io.StringIO(), width=30)
    first, second = grid.trials[1:3]
    with shown(state, console):
        state.start(first.trial_id)
        state.report(first.trial_id, 1, 12.5, 60.0, None, None)
        state.report(first.trial_id, 3, 3.333, 60.0, Outcome.COMPLETED, None)
        state.report(second.trial_id, 0, None, 0.0, Outcome.OUT_OF_MEMORY, "No memory")
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "training 7 trials, 7 at a time"
    assert lines[1].startswith("[2/8] batchnorm-bs008-s0 completed: test error 3.33 %; ")
    assert lines[1].endswith(" left")
    assert lines[2].startswith("[3/8] groupnorm-bs016-s0 out of memory: No memory; ")
    assert len(lines) == 3


def test_notices_come_as_plain_lines_at_once_and_once() -> None:
    state = board(load())
    console = Console(file=io.StringIO(), width=30)
    with shown(state, console):
        assert isinstance(console.file, io.StringIO)
        said: list[list[str]] = []
        for tell in (
            lambda: state.notice("a worker died"),
            lambda: state.notice("a worker died"),
            lambda: state.set_tracking_error("http://tracking: timed out"),
            lambda: state.set_tracking_error(None),
        ):
            tell()
            said.append(console.file.getvalue().splitlines()[1:])
    assert said[0] == said[1] == ["a worker died"]
    assert said[2][1:] == ["MLflow cannot be reached, training goes on: http://tracking: timed out"]
    assert said[3][2:] == ["MLflow is reached again"]


def test_the_live_view_says_that_mlflow_is_out_of_reach_only_while_it_is() -> None:
    state = board(load())
    view = LiveView(state, Console(width=WIDTH))
    state.set_tracking_error("http://tracking: timed out")
    assert "MLflow cannot be reached, training goes on: http://tracking" in rendered(view())
    state.set_tracking_error(None)
    assert "MLflow" not in rendered(view())


def test_the_live_view_keeps_to_the_last_notices_and_leaves_them_all() -> None:
    state = board(load())
    file = io.StringIO()
    with shown(state, Console(file=file, width=WIDTH, force_terminal=True)):
        for number in range(20):
            state.notice(f"notice {number}.")
        text = rendered(LiveView(state, Console(width=WIDTH))())
        assert [n for n in range(20) if f"notice {n}." in text] == [15, 16, 17, 18, 19]
    left = file.getvalue()
    assert all(f"notice {n}." in left for n in range(20))


def test_plain_lines_hold_names_as_they_are() -> None:
    grid = load(**factors(**{"train.schedule.milestones": [[1], [1, 2]]}), train={
        "epochs": 3, "schedule": {"name": "multistep", "milestones": [1]}})  # fmt: skip
    state = board(grid)
    console = Console(file=io.StringIO(), width=20)
    with shown(state, console):
        state.report(grid.trials[0].trial_id, 0, None, 0.0, Outcome.DIVERGED, None)
    assert isinstance(console.file, io.StringIO)
    line = console.file.getvalue().splitlines()[1]
    assert line == "[ 1/16] batchnorm-bs016-s0-train.schedule.milestones=1 diverged"


def test_the_line_of_a_trials_end() -> None:
    grid = load(**factors(seed=5))
    state = board(grid)
    trial = grid.trials[0]
    state.report(trial.trial_id, 3, 7.0, 0.0, Outcome.DIVERGED, None)
    line = format_trial_end(make_trial_ended(state, state.states[trial.trial_id]))
    assert line == "[ 1/20] batchnorm-bs016-s0 diverged: test error 7.00 %"


def test_a_failed_trial_is_told_with_its_reason() -> None:
    grid = load()
    state = board(grid)
    trial = grid.trials[0]
    traceback = "Traceback (most recent call last):\n  File ...\nRuntimeError: a bug\n"
    state.report(trial.trial_id, 3, 7.0, 0.0, Outcome.FAILED, traceback)
    line = format_trial_end(make_trial_ended(state, state.states[trial.trial_id]))
    assert line == "[1/8] batchnorm-bs016-s0 failed: RuntimeError: a bug"


def test_the_live_view_says_what_went_wrong_once() -> None:
    state = board(load())
    first, second, third = state.plan.grid.trials[:3]
    for trial in (first, second):
        bug = (
            "Traceback (most recent call last):\n  ...\nRuntimeError: the layer\x1b has a bug, "
            + "and so on " * 20
        )
        state.report(trial.trial_id, 0, None, 0.0, Outcome.FAILED, bug)
    state.report(third.trial_id, 0, None, 0.0, Outcome.OUT_OF_MEMORY, "No memory")
    text = rendered(LiveView(state, Console(width=WIDTH))())
    told = f"{first.name} and 1 more: RuntimeError: the layer\\x1b has a bug"
    assert [line for line in text.splitlines() if told in line]
    assert f"{third.name}: No memory" in text
    assert second.name not in text


def test_the_live_view_holds_counts_running_trials_and_errors() -> None:
    grid = load()
    completed = record_of(grid.trials[0], 3, Outcome.COMPLETED)
    others = (Outcome.DIVERGED, Outcome.FAILED, Outcome.OUT_OF_MEMORY)
    ended = [record_of(t, 1, o) for t, o in zip(grid.trials[1:4], others, strict=True)]
    state = board(grid, completed, *ended)
    state.start(grid.trials[4].trial_id)
    state.report(grid.trials[4].trial_id, 2, 12.345, 30.0, None, None)
    state.start(grid.trials[5].trial_id)
    state.notices.append("MLflow cannot be reached, training goes on: [Errno 111] refused")
    text = rendered(LiveView(state, Console(width=WIDTH))())
    assert "small" in text
    assert "4/8" in text
    assert "left" in text
    assert "2 running · 1 completed · 1 diverged · 2 failed" in text
    lines = text.splitlines()
    assert next(line for line in lines if "batchnorm-bs016-s1" in line).split()[1:] == [
        "2/3", "12.35", "%",
    ]  # fmt: skip
    assert next(line for line in lines if "batchnorm-bs008-s1" in line).split()[1:] == ["0/3", "–"]
    row = next(line for line in lines if line.split()[:1] == ["batchnorm"])
    assert row.split() == ["batchnorm", "20.00", "·"]
    assert "[Errno 111] refused" in text


@pytest.mark.parametrize("width", [80, 60, 120])
def test_the_live_view_is_no_wider_than_the_terminal(width: int) -> None:
    state = wide_board()
    for trial in state.plan.grid.trials[20:40]:
        state.start(trial.trial_id)
    state.notices.append("x" * 300)
    text = rendered(LiveView(state, Console(width=width))(), width)
    assert f"and {20 - MAX_RUNNING_ROWS} more" in text
    assert "20/78" in text
    assert len(text.splitlines()) < 40


def test_the_error_table_shows_every_number_in_full() -> None:
    text = rendered(error_table(wide_board()), 120)
    assert text.count("20.00") == 20


def test_the_live_view_runs_and_leaves_the_counts() -> None:
    grid = load()
    state = board(grid)
    file = io.StringIO()
    with shown(state, Console(file=file, width=WIDTH, force_terminal=True)):
        state.report(grid.trials[0].trial_id, 3, 5.0, 1.0, Outcome.COMPLETED, None)
    assert "1 completed" in file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0.4, "0 s"),
        (99, "99 s"),
        (100, "2 min"),
        (5940, "99 min"),
        (7500, "2 h 05 min"),
        (172_000, "47 h 47 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_are_as_exact_as_an_estimate_deserves(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text
