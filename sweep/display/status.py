"""What `status` prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from sweep.display.live_view import format_percent, print_line
from sweep.display.looks import describe_looks
from sweep.display.tables import (
    MAX_TRIAL_ROWS,
    format_outcome_counts,
    print_cells,
    print_errors,
    print_preset,
)
from sweep.grid.expand import GridTrial
from sweep.planning.other_records import other_seeding_warnings
from sweep.planning.trial_states import TrialStates
from sweep.records.lease import Holder
from sweep.records.record import Record
from sweep.wording import count_noun


def print_status(console: Console, states: TrialStates, holder: Holder | None) -> None:
    """Print counts, cells, trials in training, errors and the driver.

    Args:
        console: where to print.
        states: the trials with their records.
        holder: the driver that runs the sweep, or that ran it and died.
    """
    alive = holder if holder and not holder.is_dead() else None
    print_preset(console, states.grid)
    print_cells(console, states)
    print_line(
        console,
        format_outcome_counts(states, sum(is_running(r, alive) for r in states.records.values())),
    )
    for line in describe_looks(states):
        print_line(console, line)
    begun = [trial for trial in states.missing() if trial.trial_id in states.records]
    for trial in begun[:MAX_TRIAL_ROWS]:
        print_line(console, f"  {format_begun_trial(states, trial, alive)}")
    if len(begun) > MAX_TRIAL_ROWS:
        print_line(console, f"  and {len(begun) - MAX_TRIAL_ROWS} more")
    print_errors(console, states, with_logs=True)
    for line in other_seeding_warnings(states):
        print_line(console, f"warning: {line}")
    for line in describe_driver(states, holder):
        print_line(console, line)
    print_line(console, f"records in {states.folder.storage.uri}")


def describe_driver(states: TrialStates, holder: Holder | None) -> Iterator[str]:
    """Yield lines that say who runs the sweep, and what to type if the last driver died."""
    if holder is None:
        yield "nobody is running it"
    elif holder.is_dead():
        yield f"nobody is running it: the last one ({holder.who}) died"
        yield f"`norm-sweep sync {states.grid.arguments}` makes MLflow say so too"
    else:
        yield f"running: {holder.who}"


def is_running(record: Record, holder: Holder | None) -> bool:
    """Return whether a worker of the driver `holder` is training the trial now."""
    last = record.last_attempt
    if holder is None or last is None or record.outcome is not None:
        return False
    return last.driver == holder.token and last.ended is None


def format_begun_trial(states: TrialStates, trial: GridTrial, holder: Holder | None) -> str:
    """Return `groupnorm-bs008-s2  epoch 3/60  test error 8.06 %  interrupted`."""
    record = states.records[trial.trial_id]
    parts = [trial.name, f"epoch {len(record.epochs)}/{trial.spec.train.epochs}"]
    if record.epochs:
        parts.append(f"test error {format_percent(record.last_test_error)}")
    running, last = is_running(record, holder), record.last_attempt
    stopped_for = (last and last.stopped_for) or "interrupted"
    parts.append("running" if running else stopped_for.replace("_", " "))
    # A worker that is lost early leaves a record without an attempt.
    num_lost = sum(attempt.ended is None for attempt in record.attempts) - running
    num_lost += not record.attempts
    if num_lost:
        parts.append(f"({count_noun(num_lost, 'attempt')} lost)")
    return "  ".join(parts)
