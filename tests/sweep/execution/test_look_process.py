"""A look that a real process of the analysis takes, of made-up records."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from small_grids import change_epoch, factors, load, make_plan, record_of, save

from sweep.execution.look_process import LookFailedError, take_look
from sweep.planning.looks import find_due_look
from sweep.planning.plan import Plan
from sweep.records.look_history import LookHistory, LookRule, load_looks, save_looks
from trainables.spec import Outcome

SEEDS = {"until": "decided", "from": 3, "to": 4}


LEVELS, RISES = (1.0, 2.0, 4.0, 2.0), (1.0, 3.0, 2.0, 2.0)
"""Differences of groupnorm from batchnorm by seed: p is 0.12 and 0.07 after three seeds."""


def finish(worse_by: float = 0.0) -> Plan:
    """Give each missing trial an outcome; groupnorm is worse by so much more."""
    grid = load(**factors(seed=SEEDS), seeding="per_seed")
    records = []
    for trial in make_plan(grid).missing():
        seed, size = trial.spec.seed, trial.spec.batch_size
        shift = LEVELS[seed] + worse_by + RISES[seed] * (0.5 if size == 8 else -0.5)
        record = record_of(trial, 3, Outcome.COMPLETED)
        change_epoch(record, 3, test_error=20.0 + shift * (trial.norm == "groupnorm"))
        records.append(record)
    return save(grid, *records)


def test_a_look_is_written_and_asks_for_the_next_seed() -> None:
    plan = finish(worse_by=50)
    history, changed = take_look(plan, 3)
    assert changed == ()
    assert load_looks(plan.folder) == history
    level, robustness = history.last_look.contrasts
    assert (level.decision, robustness.decision) == ("different", "open")
    assert level.estimate == pytest.approx(50 + 7 / 3)
    assert robustness.p == pytest.approx(0.0742, abs=1e-4)
    assert len(history.rule.boundaries) == 2
    assert history.last_look.taken
    following = make_plan(load(**factors(seed=SEEDS), seeding="per_seed"))
    assert [trial.spec.seed for trial in following.missing()] == [3] * 4


def test_stored_looks_hold_and_a_change_of_the_records_is_told() -> None:
    first, _ = take_look(finish(), 3)
    strict = first.rule.model_copy(update={"boundaries": ((0.0, 0.0),) * 2})
    save_looks(
        make_plan(load(**factors(seed=SEEDS), seeding="per_seed")).folder, _with_rule(first, strict)
    )
    plan = finish(worse_by=50)
    assert find_due_look(plan) == 4
    second, changed = take_look(plan, 4)
    assert changed == ()
    assert second.looks[0] == first.looks[0]
    assert second.rule == strict  # not what this version of the program would compute
    assert all(item.decision != "different" for item in second.last_look.contrasts)

    save_looks(plan.folder, first)
    record = plan.records[plan.grid.trials[0].trial_id]
    change_epoch(record, 3, test_error=90.0)
    third, changed = take_look(save(plan.grid, record), 4)
    (line,) = changed
    assert line.startswith("the records no longer give the look after 3 seeds (groupnorm level")
    assert third.looks[0] == first.looks[0]


def _with_rule(history: LookHistory, rule: LookRule) -> LookHistory:
    return history.model_copy(update={"rule": rule})


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ((2, "", "warning: x\nerror: it went wrong\n"), "has failed: error: it went wrong"),
        ((-9, "", ""), "has failed: it ended with -9"),
        ((0, "{}", ""), "gave another answer than expected"),
    ],
)
def test_a_process_that_fails_leaves_no_look(
    monkeypatch: pytest.MonkeyPatch, result: tuple[int, str, str], said: str
) -> None:
    plan = finish()

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, *result)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(LookFailedError, match=said):
        take_look(plan, 3)
    assert not Path("runs/small/looks.json").exists()
