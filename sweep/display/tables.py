"""What `plan`, `status` and the end of `run` print."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.display.progress import duration, percent, print_plainly
from sweep.grid.expansion import GridTrial
from sweep.grid.layout import Grid
from sweep.parameters import AddedParameters
from sweep.plan import Plan
from sweep.records.lock import Holder
from sweep.records.record import TRACEBACK
from sweep.schedule import makespan, occupations
from sweep.tracking.shipping import Shipped
from trainables.spec import Outcome

ACCIDENTS = (Outcome.FAILED, Outcome.OUT_OF_MEMORY)
MOST_TRIALS_SHOWN = 20


def print_plan(console: Console, plan: Plan, slots: int) -> None:
    """Cells with how many of their seeds are done, and what is left to do."""
    grid, missing = plan.grid, plan.missing()
    print_edition(console, grid)
    console.print(cell_table(plan))
    console.print()
    steps = sum(trial.spec.train.epochs - plan.epochs_done(trial) for trial in missing)
    lines = [f"{len(grid.trials)} trials, {len(missing)} to train ({steps} epochs)"]
    seconds = [plan.remaining_s(trial) for trial in missing] if plan.costs.is_measured else []
    if seconds:
        lines[0] += f": about {duration(makespan(seconds, slots))} at {slots} at a time"
    elif missing:
        lines[0] += "; `--calibrate` times a few steps of each cell and says how long it takes"
    lines.append(f"records in {plan.folder.storage.uri}")
    lines.append(f"MLflow experiment {grid.experiment}")
    for line in lines:
        print_plainly(console, line)
    if len(seconds) > 1:
        console.print()
        console.print(occupation_table(seconds))


def occupation_table(seconds: Sequence[float]) -> Table:
    """A column per number of slots: how long the missing trials take, and what they occupy."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    columns = list(occupations(seconds))
    table.add_column("trials at a time", no_wrap=True)
    for column in columns:
        table.add_column(str(column.slots), justify="right", no_wrap=True)
    table.add_row("done in", *[duration(column.makespan_s) for column in columns])
    table.add_row("slot hours", *[f"{column.slot_hours:.3g}" for column in columns])
    return table


def print_status(console: Console, plan: Plan, holder: Holder | None) -> None:
    """How the sweep stands: counts, cells, what is under way and what went wrong.

    `holder` is who drives it, or who did and died.
    """
    alive = holder if holder and not holder.is_dead() else None
    print_edition(console, plan.grid)
    console.print(cell_table(plan))
    console.print()
    print_plainly(console, counts(plan))
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
        yield f"`python -m sweep sync {plan.grid.arguments}` makes MLflow say so too"
    else:
        yield f"running: {holder.who}"


def begun_line(plan: Plan, trial: GridTrial, holder: Holder | None) -> str:
    """`groupnorm-bs008-s2  epoch 3/60  test error 8.06 %  interrupted  (2 attempts lost)`."""
    record = plan.records[trial.trial_id]
    parts = [trial.name, f"epoch {len(record.epochs)}/{trial.spec.train.epochs}"]
    if record.epochs:
        parts.append(f"test error {percent(record.epochs[-1]['test_error'])}")
    *earlier, last = record.attempts or [{}]
    is_running = (
        holder is not None and last.get("ended") is None and last.get("driver") == holder.token
    )
    stopped_for = last.get("stopped_for") or "interrupted"
    parts.append("running" if is_running else stopped_for.replace("_", " "))
    lost = [attempt for attempt in earlier if attempt.get("ended") is None]
    num_lost = len(lost) + (not is_running and last.get("ended") is None)
    if num_lost:
        parts.append(f"({num_lost} {'attempt' if num_lost == 1 else 'attempts'} lost)")
    return "  ".join(parts)


def print_outcome(console: Console, *, before: Plan, after: Plan, stopped_by: str | None) -> None:
    """What a run did, and what went wrong."""
    print_edition(console, after.grid)
    num_trained = len(before.missing()) - len(after.missing())
    print_plainly(console, f"{counts(after)}; trained now: {num_trained}")
    if stopped_by:
        what = "stopped, because several trials ended in the same error:"
        print_plainly(console, what, "red")
        print_plainly(console, stopped_by.rstrip())
    print_accidents(console, after)
    if after.missing() and not stopped_by:
        print_plainly(console, "run the same command again to go on", "yellow")


def print_places(console: Console, plan: Plan, shipped: Shipped, *, reported: bool) -> None:
    """The last lines of a run: where everything is, and what to type next."""
    rows = [("records", plan.folder.storage.uri)]
    if not reported and plan.num(Outcome.COMPLETED):
        source = plan.folder.storage.uri if shipped.error else plan.grid.experiment
        out = f"report/{plan.grid.name}"
        rows.append(("report", f"python -m analysis report {shlex.quote(source)} --out {out}"))
    if shipped.error:
        rows.append(("MLflow", f"not up to date: {shipped.error}"))
        rows.append(("", f"`python -m sweep sync {plan.grid.arguments}` brings it up to date"))
    elif shipped.place:
        command = f"{shipped.place.command}, then " if shipped.place.command else ""
        rows.append(("MLflow", f"{command}{shipped.place.link}"))
    for name, text in rows:
        print_plainly(console, f"{name:<8} {text}")


def print_edition(console: Console, grid: Grid) -> None:
    """A line for a small edition: its numbers are none of those that the grid is after."""
    if grid.edition:
        title, _, replaced = grid.edition.partition(": ")
        print_plainly(console, f"{title.upper()}: {replaced}", "yellow")


def print_parameters(console: Console, rows: Sequence[AddedParameters]) -> None:
    """A row per model: its parameters with the reference norm, and what each other one adds."""
    reference = rows[0].reference
    others = list(dict.fromkeys(row.norm for row in rows if row.norm != reference))
    cells = {(row.model, row.norm): row for row in rows}
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("parameters", no_wrap=True)
    for name in (reference, *others):
        table.add_column(name, justify="right", overflow="fold")
    for model in dict.fromkeys(row.model for row in rows):
        found = [cells.get((model, norm)) for norm in others]
        added = [f"{row.added:+,}  {row.percent:+.2f} %" if row else "–" for row in found]
        table.add_row(Text(model), f"{cells[model, reference].num_parameters:,}", *added)
    console.print(table)


def print_accidents(console: Console, plan: Plan) -> None:
    """Each trial that failed, with the error's last line and the traceback's place."""
    trials = [trial for trial in plan.grid.trials if plan.outcome(trial) in ACCIDENTS]
    for trial in trials[:MOST_TRIALS_SHOWN]:
        record = plan.records[trial.trial_id]
        error = record.error or {"type": "unknown", "message": ""}
        first = error["message"].splitlines()[0] if error["message"] else ""
        print_plainly(console, f"{trial.name} {record.outcome}: {error['type']}: {first}", "red")
        place = plan.folder.trial(trial.trial_id).storage.uri
        print_plainly(console, f"  {place}/{TRACEBACK}")
    if len(trials) > MOST_TRIALS_SHOWN:
        print_plainly(console, f"and {len(trials) - MOST_TRIALS_SHOWN} more")
    again = [f"--retry {outcome}" for outcome in ACCIDENTS if plan.num(outcome)]
    if again:
        command = f"python -m sweep run {plan.grid.arguments} {' '.join(again)}"
        print_plainly(console, f"`{command}` trains {'it' if len(trials) == 1 else 'them'} again")


def counts(plan: Plan) -> str:
    """`36 trials: 30 completed, 1 diverged, 5 missing`."""
    found = Counter(plan.outcome(trial) for trial in plan.grid.trials)
    parts = [f"{found[o]} {o.value.replace('_', ' ')}" for o in Outcome if found[o]]
    if found[None]:
        parts.append(f"{found[None]} missing")
    return f"{len(plan.grid.trials)} trials: {', '.join(parts)}"


def cell_table(plan: Plan) -> Table:
    """A row per norm, a column per batch size: seeds done of seeds wanted, accidents marked."""
    sizes = sorted({trial.spec.batch_size for trial in plan.grid.trials}, reverse=True)
    rows: dict[tuple[str, str], dict[int, list[GridTrial]]] = {}
    for trial in plan.grid.trials:
        row = rows.setdefault((trial.norm, trial.variant), {})
        row.setdefault(trial.spec.batch_size, []).append(trial)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("seeds done, at batch size", overflow="fold")
    for size in sizes:
        table.add_column(str(size), justify="right", no_wrap=True)
    for (norm, variant), row in rows.items():
        label = f"{norm} · {variant}" if variant else norm
        cells = [_seeds(plan, row[size]) if size in row else Text("–") for size in sizes]
        table.add_row(Text(label), *cells)
    return table


def _seeds(plan: Plan, trials: list[GridTrial]) -> Text:
    outcomes = [plan.outcome(trial) for trial in trials]
    done = sum(outcome is not None for outcome in outcomes)
    text = Text(f"{done}/{len(trials)}", style="green" if done == len(trials) else "")
    diverged = outcomes.count(Outcome.DIVERGED)
    failed = sum(outcome in ACCIDENTS for outcome in outcomes)
    if diverged:
        text.append(f" ×{diverged}", style="yellow")
    if failed:
        text.append(f" !{failed}", style="red")
    return text
