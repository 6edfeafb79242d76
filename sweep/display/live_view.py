"""The running sweep on the screen: a live view in a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep.errors import escape_invisible
from sweep.execution.error_line import error_line
from sweep.execution.state import SweepState, format_tracking_error
from sweep.execution.trial_state import TrialState
from sweep.wording import count_noun
from trainables.spec import Outcome

MAX_RUNNING_ROWS = 12
MAX_NOTE_ROWS = 5
MAX_ERROR_ROWS = 3


@contextmanager
def show_live(board: SweepState, console: Console) -> Iterator[None]:
    """Show the board until the block ends."""
    if not console.is_terminal:
        num_missing = len(board.states) - board.num()
        slots = min(board.slots, num_missing)
        print_line(console, f"training {count_noun(num_missing, 'trial')}, {slots} at a time")
        board.on_end = lambda state: print_line(console, format_trial_end(board, state))
        board.on_notice = lambda line: print_line(console, line)
        yield
        return
    view = LiveView(board, console)
    with Live(get_renderable=view, console=console, refresh_per_second=4, transient=True):
        yield
    console.print(view.summary())
    for notice in board.notices:
        print_line(console, notice)


@contextmanager
def show_spinner(console: Console, what: str) -> Iterator[None]:
    """Say what is waited for, in a terminal only."""
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def print_line(console: Console, line: str, style: str | None = None) -> None:
    """One line as it is: no markup, no wrapping, no colours of rich's own."""
    console.print(
        escape_invisible(line), style=style, highlight=False, markup=False, soft_wrap=True
    )


def format_trial_end(board: SweepState, state: TrialState) -> str:
    """`[ 7/36] groupnorm-bs008-s2 completed: test error 3.33 %; 1 min left`.

    A trial that failed is told with its error's type and the first line of its message.
    """
    total = str(len(board.states))
    outcome = (state.outcome or Outcome.FAILED).value.replace("_", " ")
    error = "" if state.test_error is None else f": test error {state.test_error:.2f} %"
    if state.error and state.error.strip():
        error = f": {told_error(state)}"
    left_s = board.remaining_s()
    left = f"; {format_duration(left_s)} left" if left_s else ""
    return f"[{board.num():>{len(total)}}/{total}] {state.trial.name} {outcome}{error}{left}"


def told_error(state: TrialState) -> str:
    """The error that ended the trial, or its outcome."""
    outcome = (state.outcome or Outcome.FAILED).value.replace("_", " ")
    return error_line(state.error or "") or outcome


class LiveView:
    """What the terminal shows; called again for every frame."""

    def __init__(self, board: SweepState, console: Console) -> None:
        self.board = board
        self.console = console

    def __call__(self) -> RenderableType:
        """The whole view as of now."""
        parts: list[RenderableType] = [self.summary()]
        if self.board.running:
            parts.append(Padding(self.running(), (1, 0, 0, 2)))
        if self.board.num(Outcome.COMPLETED):
            parts.append(Padding(error_table(self.board), (1, 0, 0, 2)))
        parts += [Text(line, "red", no_wrap=True, overflow="ellipsis") for line in self.accidents()]
        notices = self.board.notices[-MAX_NOTE_ROWS:]
        if self.board.tracking_error:
            notices = [*notices, format_tracking_error(self.board.tracking_error)]
        parts += [Text(notice, style="yellow") for notice in notices]
        return Group(*parts)

    def accidents(self) -> list[str]:
        """A line for each of the last errors, with the first trial that had it."""
        found: dict[str, list[str]] = {}
        for state in self.board.states.values():
            if state.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY):
                found.setdefault(told_error(state), []).append(state.trial.name)
        return [
            escape_invisible(
                f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {error}"
            )
            for error, names in list(found.items())[-MAX_ERROR_ROWS:]
        ]

    def summary(self) -> RenderableType:
        """Two lines: how far the sweep is, and how its trials stand."""
        board, total = self.board, len(self.board.states)
        failed = board.num(Outcome.FAILED, Outcome.OUT_OF_MEMORY)
        counts = Text(f"{len(board.running)} running · {board.num(Outcome.COMPLETED)} completed")
        counts.append(f" · {board.num(Outcome.DIVERGED)} diverged · ")
        counts.append(f"{failed} failed", style="red" if failed else "")
        left_s = board.remaining_s()
        left = f" · {format_duration(left_s)} left" if left_s else ""
        row = Table.grid(padding=(0, 1), expand=False)
        row.add_column(no_wrap=True, overflow="ellipsis", max_width=self.console.width // 2)
        row.add_column(width=max(8, min(30, self.console.width // 4)))
        row.add_column(no_wrap=True)
        bar = ProgressBar(total=total, completed=board.num())
        row.add_row(
            Text(board.plan.grid.name, style="bold"),
            bar,
            Text.assemble((f"{board.num()}/{total}", "bold"), (left, "cyan")),
        )
        return Group(row, counts)

    def running(self) -> RenderableType:
        """A row per trial in training, the longest in it first."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("running")
        table.add_column("epoch", justify="right", no_wrap=True)
        table.add_column("test error", justify="right", no_wrap=True)
        running = self.board.running
        has_places = len({state.place for state in running if state.place}) > 1
        if has_places:
            table.add_column("where", style="dim")
        for state in running[:MAX_RUNNING_ROWS]:
            epochs = f"{state.epochs}/{state.trial.spec.train.epochs}"
            place = [join_lines(state.place or "")] if has_places else []
            table.add_row(
                join_lines(state.trial.name), epochs, format_percent(state.test_error), *place
            )
        if len(running) > MAX_RUNNING_ROWS:
            table.add_row(f"and {len(running) - MAX_RUNNING_ROWS} more")
        return table


def error_table(board: SweepState) -> Table:
    """Mean test error so far, a row per norm, a column per batch size."""
    errors = board.mean_errors()
    sizes = sorted({s.trial.spec.batch_size for s in board.states.values()}, reverse=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(join_lines("test error, %, at batch size"))
    for size in sizes:
        table.add_column(str(size), justify="right", no_wrap=True)
    for (norm, variant), row in errors.items():
        label = f"{norm} · {variant}" if variant else norm
        cells = [f"{row[size]:.2f}" if size in row else "·" for size in sizes]
        table.add_row(join_lines(label), *cells)
    return table


def join_lines(label: str) -> Text:
    """A label that gives way to the numbers beside it where a table is too wide."""
    return Text(label, no_wrap=True, overflow="ellipsis")


def format_percent(value: float | None) -> str:
    """`3.33 %`, or a dash while there is none."""
    return "–" if value is None else f"{value:.2f} %"


def format_duration(seconds: float | None) -> str:
    """`40 s`, `3 min`, `2 h 05 min`, `3 d 4 h`: as exact as an estimate deserves."""
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
