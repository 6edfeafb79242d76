"""`status` names the log of a trial that failed, where there is one."""

from __future__ import annotations

import io

from rich.console import Console
from small_grids import load, record_of, save

from sweep.display.json_data import build_status_data
from sweep.display.status import print_status
from sweep.records.trial_log import TRIAL_LOG, append_to_log
from trainables.spec import Outcome


def test_status_names_the_log_of_a_failed_trial() -> None:
    grid = load()
    logged, unlogged, done = grid.trials[:3]
    outcomes = (Outcome.FAILED, Outcome.OUT_OF_MEMORY, Outcome.COMPLETED)
    records = [
        record_of(trial, 3, outcome)
        for trial, outcome in zip((logged, unlogged, done), outcomes, strict=True)
    ]
    plan = save(grid, *records)
    for trial in (logged, done):
        append_to_log(plan.folder.trial(trial.trial_id), b"a line\n")
    console = Console(file=io.StringIO(), width=500)
    print_status(console, plan, None)
    assert isinstance(console.file, io.StringIO)
    place = f"{plan.folder.trial(logged.trial_id).storage.uri}/{TRIAL_LOG}"
    lines = [line for line in console.file.getvalue().splitlines() if TRIAL_LOG in line]
    assert [line.strip() for line in lines] == [place]
    logs = {trial["trial_id"]: trial["log"] for trial in build_status_data(plan, None)["trials"]}
    assert logs == {logged.trial_id: place, unlogged.trial_id: None, done.trial_id: None}
