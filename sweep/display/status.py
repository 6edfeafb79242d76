"""What `status` prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from sweep.display.progress import percent, print_plainly
from sweep.display.tables import (
    MOST_TRIALS_SHOWN,
    counts,
    print_accidents,
    print_cells,
    print_edition,
)
from sweep.grid.expansion import GridTrial
from sweep.plan import Plan
from sweep.records.lock import Holder
from sweep.records.record import Record
from sweep.wording import counted


def print_status(console: Console, plan: Plan, holder: Holder | None) -> None:
    """How the sweep stands: counts, cells, what is under way and what went wrong.

    `holder` is who drives it, or who did and died.
    """
    alive = holder if holder and not holder.is_dead() else None
    print_edition(console, plan.grid)
    print_cells(console, plan)
    print_plainly(console, counts(plan, sum(is_running(r, alive) for r in plan.records.values())))
    begun = [trial for trial in plan.missing() if trial.trial_id in plan.records]
    for trial in begun[:MOST_TRIALS_SHOWN]:
        print_plainly(console, f"  {begun_line(plan, trial, alive)}")
    if len(begun) > MOST_TRIALS_SHOWN:
        print_plainly(console, f"  and {len(begun) - MOST_TRIALS_SHOWN} more")
    print_accidents(console, plan)
    for line in who_runs(plan, holder):
        print_plainly(console, line)
    print_plainly(console, f"records in {plan.folder.storage.uri}")


def who_runs(plan: Plan, holder: Holder | None) -> Iterator[str]:
    """Who drives the sweep; of one that died, what it may have left behind."""
    if holder is None:
        yield "nobody is running it"
    elif holder.is_dead():
        yield f"nobody is running it: the last one ({holder.who}) died"
        yield f"`norm-sweep sync {plan.grid.arguments}` makes MLflow say so too"
    else:
        yield f"running: {holder.who}"


def is_running(record: Record, holder: Holder | None) -> bool:
    """Whether the trial is in training now, under this driver."""
    last = record.attempts[-1] if record.attempts else {}
    is_driven = holder is not None and last.get("driver") == holder.token
    return is_driven and record.outcome is None and last.get("ended") is None


def begun_line(plan: Plan, trial: GridTrial, holder: Holder | None) -> str:
    """`groupnorm-bs008-s2  epoch 3/60  test error 8.06 %  interrupted  (2 attempts lost)`."""
    record = plan.records[trial.trial_id]
    parts = [trial.name, f"epoch {len(record.epochs)}/{trial.spec.train.epochs}"]
    if record.epochs:
        parts.append(f"test error {percent(record.epochs[-1]['test_error'])}")
    *earlier, last = record.attempts or [{}]
    running = is_running(record, holder)
    stopped_for = last.get("stopped_for") or "interrupted"
    parts.append("running" if running else stopped_for.replace("_", " "))
    lost = [attempt for attempt in earlier if attempt.get("ended") is None]
    num_lost = len(lost) + (not running and last.get("ended") is None)
    if num_lost:
        parts.append(f"({counted(num_lost, 'attempt')} lost)")
    return "  ".join(parts)
