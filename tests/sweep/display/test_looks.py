"""What is decided and what is open, as `plan`, `status`, `run` and the live view say it."""

from __future__ import annotations

import json

import pytest
from made_up_looks import SEEDS, make_history
from rich.console import Console
from small_grids import factors, load, make_plan, record_of, save

from sweep.display.json_data import build_plan_data, build_status_data
from sweep.display.live_view import LiveView
from sweep.display.looks import describe_contrast, describe_decisions, describe_looks
from sweep.display.observer import live_display
from sweep.display.status import print_status
from sweep.display.tables import choose_report_source, print_plan
from sweep.events import LookTaken
from sweep.execution.state import SweepState
from sweep.grid.model import Grid
from sweep.planning.plan import Plan
from sweep.records.look_history import OPEN, save_looks
from sweep.tracking.export import ExportResult
from trainables.spec import Outcome

LEVEL, ROBUSTNESS = ("groupnorm", "level"), ("groupnorm", "robustness")
DECIDED = {LEVEL: "different", ROBUSTNESS: OPEN}
HEAD = "decided after 3 of at most 6 seeds: 1 of 2 differences from batchnorm"
NORM = (
    "groupnorm: level different after 3 seeds (-1.20 points); robustness open (p 0.03, needs 0.004)"
)


@pytest.fixture
def grid() -> Grid:
    return load(**factors(seed=SEEDS, batch_size=[16, 8, 4]))


def looked_at(grid: Grid) -> Plan:
    plan = save(grid, *(record_of(t, 3, Outcome.COMPLETED) for t in make_plan(grid).missing()))
    save_looks(plan.folder, make_history(grid, DECIDED))
    return make_plan(grid)


def test_nothing_is_said_of_fixed_seeds() -> None:
    plan = make_plan(load())
    assert describe_looks(plan) == []
    assert "looks" not in build_plan_data(plan, 1)


def test_before_the_first_look_its_seeds_are_named(grid: Grid) -> None:
    (line,) = describe_looks(make_plan(grid))
    assert line == (
        "differences from the reference are first looked at after 3 seeds; at most 6 seeds are "
        "trained; up to 18 trials of later seeds may follow"
    )


def test_each_norm_has_a_line(grid: Grid) -> None:
    follow = "; up to 8 trials of later seeds may follow"
    assert describe_looks(looked_at(grid)) == [HEAD + follow, NORM]


def test_why_a_contrast_is_open_is_said(grid: Grid) -> None:
    item = make_history(grid, DECIDED).last_look.contrasts[1]
    assert "no spread between seeds" in describe_contrast(item.model_copy(update={"p": None}), 3)
    failed = item.model_copy(update={"is_complete": False})
    assert describe_contrast(failed, 3) == "open (a trial has no result)"


def test_every_place_says_it(grid: Grid) -> None:
    plan = looked_at(grid)
    for show in (
        lambda console: print_plan(console, plan, 2),
        lambda console: print_status(console, plan, None),
        lambda console: console.print(LiveView(SweepState(plan), console)()),
    ):
        console = Console(width=120, record=True, file=open("shown.txt", "w"))  # noqa: SIM115
        show(console)
        assert NORM in console.export_text()


def test_a_look_is_shown_when_it_is_taken(grid: Grid) -> None:
    console = Console(width=120, record=True, file=open("shown.txt", "w"))  # noqa: SIM115
    history = make_history(grid, DECIDED)
    with live_display(console) as on_event:
        on_event(LookTaken(history))
    assert console.export_text().splitlines() == describe_decisions(history) == [HEAD, NORM]


def test_other_programs_get_the_numbers(grid: Grid) -> None:
    assert build_plan_data(make_plan(grid), 1)["looks"] == {
        "from": 3,
        "to": 6,
        "num_seeds": 0,
        "is_over": False,
        "num_possible": 18,
        "contrasts": [],
    }
    found = json.loads(json.dumps(build_status_data(looked_at(grid), None)))["looks"]
    assert (found["num_seeds"], found["is_over"], found["num_possible"]) == (3, False, 8)
    level, robustness = found["contrasts"]
    assert (level["decision"], level["num_seeds"]) == ("different", 3)
    assert (robustness["p"], robustness["boundary"]) == (0.03, 0.004)


def test_a_report_is_made_from_the_folder_that_has_the_looks(grid: Grid) -> None:
    plan = looked_at(grid)
    assert choose_report_source(plan, ExportResult()) == plan.folder.storage.uri
    fixed = make_plan(load())
    assert choose_report_source(fixed, ExportResult()) == "small"
    assert choose_report_source(fixed, ExportResult(error="x")) == fixed.folder.storage.uri
