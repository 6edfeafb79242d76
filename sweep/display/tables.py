"""What `plan` and `run` print, and the table of cells, which `status` prints too."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.display.live_view import format_duration, print_line
from sweep.display.looks import describe_looks
from sweep.execution.repeated_errors import Stop
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.grid.variant import Variant
from sweep.planning.added_parameters import AddedParameters
from sweep.planning.makespan import forecast_by_slots, makespan
from sweep.planning.plan import Plan
from sweep.planning.resumption import Resumption
from sweep.planning.trial_states import TrialStates
from sweep.records.attempt_info import TrialError
from sweep.records.record import TRACEBACK
from sweep.records.trial_log import find_log
from sweep.tracking.export import ExportResult
from sweep.wording import count_noun
from trainables.spec import Outcome

ERROR_OUTCOMES = (Outcome.FAILED, Outcome.OUT_OF_MEMORY)
MAX_TRIAL_ROWS = 20


def print_plan(console: Console, plan: Plan, slots: int, gpu_sharing: str | None = None) -> None:
    """Print the cells with their seeds done, the missing trials, and how GPUs are shared."""
    grid, missing = plan.grid, plan.missing()
    print_preset(console, grid)
    print_cells(console, plan)
    steps = sum(trial.spec.train.epochs - plan.epochs_done(trial) for trial in missing)
    lines = [
        f"{count_noun(len(grid.trials), 'trial')}, {len(missing)} to train "
        f"({count_noun(steps, 'epoch')})"
    ]
    seconds = [plan.remaining_s(trial) for trial in missing] if plan.costs.is_measured else []
    if seconds:
        lines[0] += f": about {format_duration(makespan(seconds, slots))} at {slots} at a time"
    elif missing:
        lines[0] += "; `--calibrate` times a few steps of each cell and says how long it takes"
    saved = plan.fusion_saving()
    if saved is not None:
        lines.append(f"seeds side by side save {100 * max(0.0, saved):.0f} % of the training time")
    if gpu_sharing:
        lines.append(gpu_sharing)
    lines += describe_looks(plan)
    lines.append(f"records in {plan.folder.storage.uri}")
    lines.append(f"MLflow experiment {grid.experiment}")
    for line in lines:
        print_line(console, line)
    if len(seconds) > 1:
        console.print()
        console.print(occupation_table(seconds))


def occupation_table(seconds: Sequence[float]) -> Table:
    """Return a table of makespan and slot hours, a column per number of slots."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    columns = list(forecast_by_slots(seconds))
    table.add_column("trials at a time", no_wrap=True)
    for column in columns:
        table.add_column(str(column.slots), justify="right", no_wrap=True)
    table.add_row("done in", *[format_duration(column.makespan_s) for column in columns])
    table.add_row("slot hours", *[f"{column.slot_hours:.3g}" for column in columns])
    return table


def print_resumption(console: Console, resumption: Resumption) -> None:
    """Print how many trials are resumed, restarted and new, if the sweep was begun before."""
    if not resumption.was_begun:
        return
    parts = [
        f"{count_noun(resumption.num_done, 'trial')} done before",
        f"{resumption.num_resumed} from their last checkpoints",
    ]
    if resumption.num_restarted:
        reasons = " and ".join(resumption.restart_reasons)
        parts.append(f"{resumption.num_restarted} again from the first epoch, since {reasons}")
    rest = f"{resumption.num_new} from the beginning"
    print_line(console, f"going on: {', '.join(parts)}, {rest}")


def print_outcome(
    console: Console, *, before: TrialStates, after: TrialStates, stops: Sequence[Stop]
) -> None:
    """Print how many trials a run trained, which errors stopped cells, and which trials failed."""
    print_preset(console, after.grid)
    num_trained = max(0, len(before.missing()) - len(after.missing()))
    print_line(console, f"{format_outcome_counts(after)}; trained now: {num_trained}")
    for line in describe_looks(after):
        print_line(console, line)
    for stop in stops:
        print_line(console, format_stop(after, stop), "red")
        print_line(console, stop.error.rstrip())
    print_errors(console, after)
    if after.missing() and stops:
        again = f"`python -m sweep run {after.grid.arguments}` trains what is left untrained"
        print_line(console, f"when the cause of the error is mended, {again}", "yellow")
    elif after.missing():
        print_line(console, "run the same command again to go on", "yellow")


def format_stop(states: TrialStates, stop: Stop) -> str:
    """Return which cells an error has stopped, and how many trials are left untrained."""
    left = [t for t in states.missing() if stop.is_sweep or t.cell_name in stop.cells]
    are = "is" if len(left) == 1 else "are"
    untrained = f"{count_noun(len(left), 'trial')} {are} left untrained"
    if stop.is_sweep:
        return f"stopped, because several trials ended in the same error; {untrained}:"
    cells = ", ".join(stop.cells[:MAX_TRIAL_ROWS])
    more = len(stop.cells) - MAX_TRIAL_ROWS
    cells += f" and {more} more" if more > 0 else ""
    return f"{cells} stopped, because several trials ended in the same error; {untrained}:"


def print_locations(
    console: Console, states: TrialStates, export: ExportResult, *, is_reported: bool
) -> None:
    """Print where records and MLflow runs are, and how to get a report if there is none."""
    rows = [("records", states.folder.storage.uri)]
    if not is_reported and states.num(Outcome.COMPLETED):
        source = choose_report_source(states, export)
        out = f"report/{states.grid.name}"
        rows.append(("report", f"norm-sweep report {shlex.quote(source)} --out {out}"))
    if export.error:
        rows.append(("MLflow", f"not up to date: {export.error}"))
        rows.append(("", f"`norm-sweep sync {states.grid.arguments}` brings it up to date"))
    elif export.link:
        command = f"{export.link.command}, then " if export.link.command else ""
        rows.append(("MLflow", f"{command}{export.link.link}"))
    if export.note:
        rows.append(("", export.note))
    for name, text in rows:
        print_line(console, f"{name:<8} {text}")


def choose_report_source(states: TrialStates, export: ExportResult) -> str:
    """Return what a report is made from: the experiment, or the folder of the records.

    The folder where MLflow is out of reach, and where it holds looks, which MLflow does not get.
    """
    storage = states.folder.storage
    has_local_looks = states.looks is not None and storage.is_local
    return storage.uri if export.error or has_local_looks else states.grid.experiment


def print_preset(console: Console, grid: Grid) -> None:
    """Print what a preset replaced, since its results are none of the full grid's."""
    if grid.preset:
        print_line(console, f"{grid.preset.title.upper()}: {grid.preset.detail}", "yellow")


def print_parameters(console: Console, rows: Sequence[AddedParameters]) -> None:
    """Print a row per model: its parameters with the reference norm, and those each norm adds."""
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


def print_errors(console: Console, states: TrialStates, *, with_logs: bool = False) -> None:
    """Print each trial that failed: its error's first line, and the files of traceback and log."""
    trials = [trial for trial in states.grid.trials if states.outcome(trial) in ERROR_OUTCOMES]
    for trial in trials[:MAX_TRIAL_ROWS]:
        record = states.records[trial.trial_id]
        error = record.error or TrialError("unknown", message="", traceback="")
        first = error.message.splitlines()[0] if error.message else ""
        print_line(console, f"{trial.name} {record.outcome}: {error.type}: {first}", "red")
        place = states.folder.trial(trial.trial_id).storage.uri
        print_line(console, f"  {place}/{TRACEBACK}")
        log = find_log(states.folder.trial(trial.trial_id)) if with_logs else None
        if log is not None:
            print_line(console, f"  {log}")
    if len(trials) > MAX_TRIAL_ROWS:
        print_line(console, f"and {len(trials) - MAX_TRIAL_ROWS} more")
    again = [f"--retry {outcome}" for outcome in ERROR_OUTCOMES if states.num(outcome)]
    if again:
        command = f"norm-sweep run {states.grid.arguments} {' '.join(again)}"
        print_line(console, f"`{command}` trains {'it' if len(trials) == 1 else 'them'} again")


def format_outcome_counts(states: TrialStates, num_running: int = 0) -> str:
    """Return `36 trials: 30 completed, 1 diverged, 2 running, 3 missing`."""
    found = Counter(states.outcome(trial) for trial in states.grid.trials)
    parts = [f"{found[o]} {o.value.replace('_', ' ')}" for o in Outcome if found[o]]
    others = {"running": num_running, "not readable": len(states.damaged)}
    others["missing"] = found[None] - sum(others.values())
    parts += [f"{num} {what}" for what, num in others.items() if num]
    return f"{count_noun(len(states.grid.trials), 'trial')}: {', '.join(parts)}"


def print_cells(console: Console, states: TrialStates) -> None:
    """Print the table of cells, the meaning of its marks, and an empty line."""
    console.print(cell_table(states))
    marks = {
        "×n: so many diverged": states.num(Outcome.DIVERGED),
        "!n: so many failed or ran out of memory": states.num(*ERROR_OUTCOMES),
    }
    if any(marks.values()):
        legend = ", ".join(text for text, num in marks.items() if num)
        console.print(Text(legend, style="dim"))
    console.print()


def cell_table(states: TrialStates) -> Table:
    """Return a table of seeds done of all seeds, a row per norm, a column per batch size."""
    sizes = sorted({trial.spec.batch_size for trial in states.grid.trials}, reverse=True)
    rows: dict[tuple[str, Variant], dict[int, list[GridTrial]]] = {}
    for trial in states.grid.trials:
        row = rows.setdefault((trial.norm, trial.variant), {})
        row.setdefault(trial.spec.batch_size, []).append(trial)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("seeds done, at batch size", overflow="fold")
    for size in sizes:
        table.add_column(str(size), justify="right", no_wrap=True)
    for (norm, variant), row in rows.items():
        label = f"{norm} · {variant}" if variant else norm
        cells = [
            _format_seed_counts(states, row[size]) if size in row else Text("–") for size in sizes
        ]
        table.add_row(Text(label), *cells)
    return table


def _format_seed_counts(states: TrialStates, trials: list[GridTrial]) -> Text:
    """Return a cell of the table: seeds done of all, how many diverged, how many failed."""
    outcomes = [states.outcome(trial) for trial in trials]
    done = sum(outcome is not None for outcome in outcomes)
    text = Text(f"{done}/{len(trials)}", style="green" if done == len(trials) else "")
    diverged = outcomes.count(Outcome.DIVERGED)
    failed = sum(outcome in ERROR_OUTCOMES for outcome in outcomes)
    if diverged:
        text.append(f" ×{diverged}", style="yellow")
    if failed:
        text.append(f" !{failed}", style="red")
    return text
