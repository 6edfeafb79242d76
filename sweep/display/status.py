"""What `status` prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from sweep.display.live_view import format_percent, print_line
from sweep.display.tables import (
    MAX_TRIAL_ROWS,
    format_outcome_counts,
    print_cells,
    print_errors,
    print_preset,
)
from sweep.grid.expand import GridTrial
from sweep.planning.plan import Plan
from sweep.records.lease import Holder
from sweep.records.record import Record
from sweep.wording import count_noun


def print_status(console: Console, plan: Plan, holder: Holder | None) -> None:
    """How the sweep stands: counts, cells, what is under way and what went wrong.

    `holder` is who drives it, or who did and died.
    """
    alive = holder if holder and not holder.is_dead() else None
    print_preset(console, plan.grid)
    print_cells(console, plan)
    print_line(
        console,
        format_outcome_counts(plan, sum(is_running(r, alive) for r in plan.records.values())),
    )
    begun = [trial for trial in plan.missing() if trial.trial_id in plan.records]
    for trial in begun[:MAX_TRIAL_ROWS]:
        print_line(console, f"  {format_begun_trial(plan, trial, alive)}")
    if len(begun) > MAX_TRIAL_ROWS:
        print_line(console, f"  and {len(begun) - MAX_TRIAL_ROWS} more")
    print_errors(console, plan, with_logs=True)
    for line in describe_driver(plan, holder):
        print_line(console, line)
    print_line(console, f"records in {plan.folder.storage.uri}")


def describe_driver(plan: Plan, holder: Holder | None) -> Iterator[str]:
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


def format_begun_trial(plan: Plan, trial: GridTrial, holder: Holder | None) -> str:
    """`groupnorm-bs008-s2  epoch 3/60  test error 8.06 %  interrupted  (2 attempts lost)`."""
    record = plan.records[trial.trial_id]
    parts = [trial.name, f"epoch {len(record.epochs)}/{trial.spec.train.epochs}"]
    if record.epochs:
        parts.append(f"test error {format_percent(record.epochs[-1]['test_error'])}")
    *earlier, last = record.attempts or [{}]
    running = is_running(record, holder)
    stopped_for = last.get("stopped_for") or "interrupted"
    parts.append("running" if running else stopped_for.replace("_", " "))
    lost = [attempt for attempt in earlier if attempt.get("ended") is None]
    num_lost = len(lost) + (not running and last.get("ended") is None)
    if num_lost:
        parts.append(f"({count_noun(num_lost, 'attempt')} lost)")
    return "  ".join(parts)
