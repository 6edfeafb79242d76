"""The running sweep as a terminal shows it, and the line of each trial that ends."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep.display.looks import describe_looks
from sweep.errors import escape_invisible
from sweep.events import TrialEnded
from sweep.execution.error_line import error_line
from sweep.execution.state import SweepState, format_tracking_error
from trainables.spec import Outcome

MAX_RUNNING_ROWS = 12
MAX_NOTE_ROWS = 5
MAX_ERROR_ROWS = 3


def print_line(console: Console, line: str, style: str | None = None) -> None:
    """Print one line without markup, wrapping and highlighting."""
    console.print(
        escape_invisible(line), style=style, highlight=False, markup=False, soft_wrap=True
    )


def format_trial_end(event: TrialEnded) -> str:
    """Return `[ 7/36] groupnorm-bs008-s2 completed: test error 3.33 %; 1 min left`.

    Of a trial that failed the line has its error's type and the first line of the message.
    """
    width = len(str(event.num_trials))
    result = "" if event.test_error is None else f": test error {event.test_error:.2f} %"
    if event.error and event.error.strip():
        result = f": {describe_error(event.error, event.outcome)}"
    left = f"; {format_duration(event.left_s)} left" if event.left_s else ""
    outcome = format_outcome(event.outcome)
    counts = f"[{event.num_ended:>{width}}/{event.num_trials}]"
    return f"{counts} {event.trial.name} {outcome}{result}{left}"


def format_outcome(outcome: Outcome) -> str:
    """Return the outcome in words: `out of memory`."""
    return outcome.value.replace("_", " ")


def describe_error(traceback: str, outcome: Outcome) -> str:
    """Return the error's type and the first line of its message, or the outcome in words."""
    return error_line(traceback) or format_outcome(outcome)


class LiveView:
    """The live view of a sweep's state; a call returns the next frame."""

    def __init__(self, state: SweepState, console: Console) -> None:
        self.state = state
        self.console = console

    def __call__(self) -> RenderableType:
        """Return the view of the present state."""
        parts: list[RenderableType] = [self.summary()]
        parts += [Text(line, no_wrap=True, overflow="ellipsis") for line in self._looks()]
        if self.state.running:
            parts.append(Padding(self.running(), (1, 0, 0, 2)))
        if self.state.num(Outcome.COMPLETED):
            parts.append(Padding(error_table(self.state), (1, 0, 0, 2)))
        parts += [Text(line, "red", no_wrap=True, overflow="ellipsis") for line in self._errors()]
        notices = self.state.notices[-MAX_NOTE_ROWS:]
        if self.state.tracking_error:
            notices = [*notices, format_tracking_error(self.state.tracking_error)]
        parts += [Text(notice, style="yellow") for notice in notices]
        return Group(*parts)

    def _looks(self) -> list[str]:
        """Return what earlier seeds have decided; nothing for fixed seeds."""
        return [escape_invisible(line) for line in describe_looks(self.state.plan)]

    def _errors(self) -> list[str]:
        """Return a line for each of the last errors, with the first trial that had it."""
        found: dict[str, list[str]] = {}
        for trial in self.state.states.values():
            if trial.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY):
                error = describe_error(trial.error or "", trial.outcome)
                found.setdefault(error, []).append(trial.trial.name)
        return [
            escape_invisible(
                f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {error}"
            )
            for error, names in list(found.items())[-MAX_ERROR_ROWS:]
        ]

    def summary(self) -> RenderableType:
        """Return two lines: how many trials are done of all, and how many have each outcome."""
        state, total = self.state, len(self.state.states)
        failed = state.num(Outcome.FAILED, Outcome.OUT_OF_MEMORY)
        counts = Text(f"{len(state.running)} running · {state.num(Outcome.COMPLETED)} completed")
        counts.append(f" · {state.num(Outcome.DIVERGED)} diverged · ")
        counts.append(f"{failed} failed", style="red" if failed else "")
        left_s = state.remaining_s()
        left = f" · {format_duration(left_s)} left" if left_s else ""
        row = Table.grid(padding=(0, 1), expand=False)
        row.add_column(no_wrap=True, overflow="ellipsis", max_width=self.console.width // 2)
        row.add_column(width=max(8, min(30, self.console.width // 4)))
        row.add_column(no_wrap=True)
        bar = ProgressBar(total=total, completed=state.num())
        row.add_row(
            Text(state.plan.grid.name, style="bold"),
            bar,
            Text.assemble((f"{state.num()}/{total}", "bold"), (left, "cyan")),
        )
        return Group(row, counts)

    def running(self) -> RenderableType:
        """Return a table with a row per trial in training, the longest in training first."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("running")
        table.add_column("epoch", justify="right", no_wrap=True)
        table.add_column("test error", justify="right", no_wrap=True)
        running = self.state.running
        has_places = len({state.place for state in running if state.place}) > 1
        if has_places:
            table.add_column("where", style="dim")
        for state in running[:MAX_RUNNING_ROWS]:
            epochs = f"{state.epochs}/{state.trial.spec.train.epochs}"
            place = [label_cell(state.place or "")] if has_places else []
            table.add_row(
                label_cell(state.trial.name), epochs, format_percent(state.test_error), *place
            )
        if len(running) > MAX_RUNNING_ROWS:
            table.add_row(f"and {len(running) - MAX_RUNNING_ROWS} more")
        return table


def error_table(state: SweepState) -> Table:
    """Return a table of the mean test error, a row per norm, a column per batch size."""
    errors = state.mean_errors()
    sizes = sorted({s.trial.spec.batch_size for s in state.states.values()}, reverse=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(label_cell("test error, %, at batch size"))
    for size in sizes:
        table.add_column(str(size), justify="right", no_wrap=True)
    for (norm, variant), row in errors.items():
        label = f"{norm} · {variant}" if variant else norm
        cells = [f"{row[size]:.2f}" if size in row else "·" for size in sizes]
        table.add_row(label_cell(label), *cells)
    return table


def label_cell(label: str) -> Text:
    """Return a label that is cut off where its table is too wide for the terminal."""
    return Text(label, no_wrap=True, overflow="ellipsis")


def format_percent(value: float | None) -> str:
    """Return `3.33 %`, or a dash for None."""
    return "–" if value is None else f"{value:.2f} %"


def format_duration(seconds: float | None) -> str:
    """Return `40 s`, `3 min`, `2 h 05 min` or `3 d 4 h`; `unknown` for None."""
    if seconds is None:
        return "unknown"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
