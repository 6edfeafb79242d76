from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from small_grids import factors, load, make_plan, record_of, save

from sweep.cli.exit_codes import run_exit_code
from sweep.display.status import print_status
from sweep.display.tables import (
    format_outcome_counts,
    print_locations,
    print_outcome,
    print_plan,
    print_resumption,
)
from sweep.errors import ExitCode
from sweep.execution.repeated_errors import Stop
from sweep.planning.plan import Plan
from sweep.planning.resumption import Resumption, count_resumed_trials
from sweep.planning.trial_states import TrialStates, read_states_after, read_trial_states
from sweep.records.attempt_info import TrialError
from sweep.records.lease import Holder
from sweep.results import RunResult
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.export import ExportResult
from trainables.spec import Outcome

SHIPPED = ExportResult(ExperimentLink("7", "http://tracking:5000"), 1)
UNREACHED = ExportResult(error="ConnectionError: refused")


HOLDER = Holder("node", 7, "then", "", beat=math.inf)


def printed(show: Any, *arguments: Any, **named: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    show(console, *arguments, **named)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def exit_code(states: TrialStates, export: ExportResult, *, is_reported: bool = True) -> ExitCode:
    return run_exit_code(RunResult(states, states, export), is_reported=is_reported)


def some_ended() -> Plan:
    """Of eight trials four have ended, each in its way, and one has begun."""
    grid = load()
    ended = [record_of(t, 3, outcome) for t, outcome in zip(grid.trials, Outcome, strict=False)]
    return save(grid, *ended, record_of(grid.trials[4], 2))


def test_a_plan_before_anything_is_known() -> None:
    lines = printed(print_plan, make_plan(load()), 4)
    assert lines[0].split() == ["seeds", "done,", "at", "batch", "size", "16", "8"]
    assert lines[1].split() == ["batchnorm", "0/2", "0/2"]
    assert lines[4].startswith("8 trials, 8 to train (24 epochs); `--calibrate` times ")
    assert not any("slot hours" in line for line in lines)


def test_a_plan_counts_what_is_left_at_its_measured_cost() -> None:
    grid = load(**factors(norm=["groupnorm"], batch_size=[16], seed=5))
    plan = save(grid, record_of(grid.trials[0], 3, Outcome.COMPLETED), record_of(grid.trials[1], 1))
    # 0.75 s an epoch; two epochs to go in one trial, three in each of three
    lines = printed(print_plan, plan, 2)
    assert "5 trials, 4 to train (11 epochs): about 4 s at 2 at a time" in lines
    assert [line.split() for line in lines[-3:]] == [
        ["trials", "at", "a", "time", "1", "2", "4"],
        ["done", "in", "8", "s", "4", "s", "2", "s"],
        ["slot", "hours", *(f"{n * s / 3600:.3g}" for n, s in ((1, 8.25), (2, 4.5), (4, 2.25)))],
    ]


def test_a_status_names_what_runs_and_what_went_wrong() -> None:
    plan = some_ended()
    lines = printed(print_status, plan, HOLDER)
    expected = "8 trials: 1 completed, 1 diverged, 1 out of memory, 1 failed, 4 missing"
    assert expected in lines
    assert format_outcome_counts(plan) == expected
    begun = "  batchnorm-bs016-s1  epoch 2/3  test error 30.00 %  interrupted  (1 attempt lost)"
    assert begun in lines
    failed = plan.grid.trials[list(Outcome).index(Outcome.FAILED)]
    at = lines.index(f"{failed.name} failed: RuntimeError: a bug")
    assert lines[at + 1].endswith(f"{failed.trial_id}/traceback.txt")
    assert "running: on node, process 7, since then" in lines
    assert "nobody is running it" in printed(print_status, plan, None)
    lines = printed(print_status, plan, replace(HOLDER, beat=0.0))
    assert f"nobody is running it: the last one ({HOLDER.who}) died" in lines
    assert "`norm-sweep sync grid.yaml` makes MLflow say so too" in lines


def test_a_status_counts_what_runs_apart_and_explains_its_marks() -> None:
    grid = load()
    assert not any("so many" in line for line in printed(print_plan, make_plan(grid), 1))
    record = record_of(grid.trials[0], 1)
    record.attempts[-1] = replace(record.attempts[-1], driver=HOLDER.token)
    diverged = record_of(grid.trials[1], 1, Outcome.DIVERGED)
    plan = save(grid, record, diverged)
    lines = printed(print_status, plan, HOLDER)
    assert "8 trials: 1 diverged, 1 running, 6 missing" in lines
    assert "×n: so many diverged" in lines
    assert "8 trials: 1 diverged, 7 missing" in printed(print_status, plan, None)
    lines = printed(print_status, some_ended(), None)
    assert "×n: so many diverged, !n: so many failed or ran out of memory" in lines


def test_a_status_shows_the_rest_where_records_are_damaged() -> None:
    grid = load()
    plan = save(grid, record_of(grid.trials[0], 3, Outcome.COMPLETED))
    for trial in grid.trials[1:3]:
        plan.folder.trial(trial.trial_id).storage.write("record.json", b"{")
    lines = printed(print_status, read_trial_states(grid, with_damaged=True), None)
    assert "8 trials: 1 completed, 2 not readable, 5 missing" in lines


def test_a_run_says_what_it_goes_on_with() -> None:
    assert printed(print_resumption, count_resumed_trials(make_plan(load()))) == []
    begun = some_ended()
    assert printed(print_resumption, count_resumed_trials(begun)) == [
        "going on: 4 trials done before, 0 from their last checkpoints, 4 from the beginning"
    ]
    begun.folder.trial(begun.grid.trials[4].trial_id).save_checkpoint(2, 0, b"weights")
    assert printed(print_resumption, count_resumed_trials(begun)) == [
        "going on: 4 trials done before, 1 from their last checkpoints, 3 from the beginning"
    ]
    restarted = Resumption(0, 1, 2, 3, ("the source of a:A has changed",))
    assert printed(print_resumption, restarted) == [
        "going on: 0 trials done before, 1 from their last checkpoints, 2 again from the first "
        "epoch, since the source of a:A has changed, 3 from the beginning"
    ]


def test_one_trial_is_one_trial() -> None:
    grid = load(**factors(norm=["groupnorm"], batch_size=[16], seed=1), train={"epochs": 1})
    plan = make_plan(grid)
    assert format_outcome_counts(plan) == "1 trial: 1 missing"
    assert "1 trial, 1 to train (1 epoch)" in "\n".join(printed(print_plan, plan, 1))


def test_a_status_tells_what_trains_from_what_was_interrupted_and_how_often() -> None:
    grid = load()
    record = record_of(grid.trials[0], 1)
    lost = replace(record.attempts[0], driver="earlier")
    ended = replace(lost, ended="then")
    for attempts, said in (
        ([lost], "interrupted  (1 attempt lost)"),
        ([replace(ended, stopped_for="interrupted")], "interrupted"),
        ([replace(ended, stopped_for="out_of_memory")], "out of memory"),
        ([lost, lost, replace(lost, driver=HOLDER.token)], "running  (2 attempts lost)"),
    ):
        record.attempts = attempts
        (line,) = [
            line
            for line in printed(print_status, save(grid, record), HOLDER)
            if line.startswith(f"  {grid.trials[0].name}")
        ]
        assert line.endswith(f" %  {said}")


def test_the_end_of_a_run_says_what_it_did() -> None:
    before, after = make_plan(load()), some_ended()
    lines = printed(print_outcome, before=before, after=after, stops=[])
    assert lines[0].endswith("4 missing; trained now: 4")
    assert lines[-1] == "run the same command again to go on"
    stop = Stop("a [bold]\ntraceback\n", (), is_sweep=True)
    lines = printed(print_outcome, before=before, after=after, stops=[stop])
    assert lines[1:4] == [
        "stopped, because several trials ended in the same error; 4 trials are left untrained:",
        "a [bold]",
        "traceback",
    ]
    assert "run the same command again to go on" not in lines
    assert lines[-1] == (
        "when the cause of the error is mended, `python -m sweep run grid.yaml` trains what is "
        "left untrained"
    )


def test_a_run_that_stopped_a_cell_says_how_many_of_its_trials_are_left() -> None:
    grid = load(**factors(batch_size=[8], seed=4))
    of_cell = [trial for trial in grid.trials if trial.norm == "groupnorm"]
    after = save(grid, *(record_of(trial, 0, Outcome.FAILED) for trial in of_cell[:3]))
    stops = [Stop("RuntimeError: odd\n", ("groupnorm-bs008",))]
    lines = printed(print_outcome, before=make_plan(grid), after=after, stops=stops)
    assert lines[1:3] == [
        "groupnorm-bs008 stopped, because several trials ended in the same error; "
        "1 trial is left untrained:",
        "RuntimeError: odd",
    ]


def test_what_was_to_be_tried_again_and_was_not_has_no_outcome_of_this_command() -> None:
    grid = load(**factors(norm=["groupnorm"], batch_size=[16], seed=1))
    record = record_of(grid.trials[0], 1, Outcome.FAILED)
    save(grid, record)
    before = make_plan(grid, [Outcome.FAILED])
    interrupted = read_states_after(before)
    lines = printed(print_outcome, before=before, after=interrupted, stops=[])
    assert lines == ["1 trial: 1 missing; trained now: 0", "run the same command again to go on"]
    assert exit_code(interrupted, SHIPPED) is ExitCode.INCOMPLETE
    # It failed in the same words, before there was anything to record but that.
    tried = read_states_after(before, {record.trial_id})
    assert format_outcome_counts(tried) == "1 trial: 1 failed"
    assert exit_code(tried, SHIPPED) is ExitCode.TRIALS_FAILED
    # It was begun, and interrupted.
    record.outcome = record.error = None
    save(grid, record)
    assert format_outcome_counts(read_states_after(before)) == "1 trial: 1 missing"


def test_the_last_lines_say_where_everything_is() -> None:
    plan = some_ended()
    assert printed(print_locations, plan, SHIPPED, is_reported=True) == [
        f"records  {plan.folder.storage.uri}",
        "MLflow   http://tracking:5000/#/experiments/7/runs",
    ]
    unreached = printed(print_locations, plan, UNREACHED, is_reported=False)
    assert unreached[1].endswith("/runs/small --out report/small")
    assert unreached[2] == "MLflow   not up to date: ConnectionError: refused"
    assert "sweep sync grid.yaml" in unreached[3]


def test_a_message_in_brackets_is_no_markup() -> None:
    grid = load(**factors(norm=["groupnorm"], batch_size=[16], seed=1))
    record = record_of(grid.trials[0], 0, Outcome.FAILED)
    record.error = TrialError("E", message="[red]size [3, 4]\nmore", traceback="[bold]\n")
    plan = save(grid, record)
    assert "groupnorm-bs016-s0 failed: E: [red]size [3, 4]" in printed(print_status, plan, None)


@pytest.mark.parametrize(
    ("outcomes", "shipped", "reported", "expected"),
    [
        ([Outcome.COMPLETED, Outcome.DIVERGED], SHIPPED, True, ExitCode.DONE),
        ([Outcome.COMPLETED, Outcome.DIVERGED], UNREACHED, True, ExitCode.NOT_TRACKED),
        ([Outcome.COMPLETED, Outcome.DIVERGED], SHIPPED, False, ExitCode.NOT_TRACKED),
        ([Outcome.COMPLETED, Outcome.FAILED], SHIPPED, False, ExitCode.TRIALS_FAILED),
        ([Outcome.COMPLETED, Outcome.OUT_OF_MEMORY], UNREACHED, True, ExitCode.TRIALS_FAILED),
        ([Outcome.FAILED], SHIPPED, True, ExitCode.INCOMPLETE),
        ([], UNREACHED, False, ExitCode.INCOMPLETE),
    ],
)
def test_exit_codes(
    outcomes: list[Outcome], shipped: ExportResult, reported: bool, expected: ExitCode
) -> None:
    grid = load(**factors(norm=["groupnorm"], batch_size=[16], seed=2))
    records = [record_of(t, 3, o) for t, o in zip(grid.trials, outcomes, strict=False)]
    assert exit_code(save(grid, *records), shipped, is_reported=reported) is expected


def test_the_exit_codes_are_those_of_the_readme() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4]
