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

from sweep.display.board import Board, TrialState, unreached_line
from sweep.display.error_line import error_line
from sweep.errors import visible
from sweep.wording import counted
from trainables.spec import Outcome

MOST_RUNNING_SHOWN = 12
MOST_NOTICES_SHOWN = 5
MOST_ACCIDENTS_SHOWN = 3


@contextmanager
def shown(board: Board, console: Console) -> Iterator[None]:
    """Show the board until the block ends."""
    if not console.is_terminal:
        num_missing = len(board.states) - board.num()
        slots = min(board.slots, num_missing)
        print_plainly(console, f"training {counted(num_missing, 'trial')}, {slots} at a time")
        board.on_end = lambda state: print_plainly(console, end_line(board, state))
        board.on_notice = lambda line: print_plainly(console, line)
        yield
        return
    view = View(board, console)
    with Live(get_renderable=view, console=console, refresh_per_second=4, transient=True):
        yield
    console.print(view.summary())
    for notice in board.notices:
        print_plainly(console, notice)


@contextmanager
def waiting(console: Console, what: str) -> Iterator[None]:
    """Say what is waited for, in a terminal only."""
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def print_plainly(console: Console, line: str, style: str | None = None) -> None:
    """One line as it is: no markup, no wrapping, no colours of rich's own."""
    console.print(visible(line), style=style, highlight=False, markup=False, soft_wrap=True)


def end_line(board: Board, state: TrialState) -> str:
    """`[ 7/36] groupnorm-bs008-s2 completed: test error 3.33 %; 1 min left`.

    A trial that failed is told with its error's type and the first line of its message.
    """
    total = str(len(board.states))
    outcome = (state.outcome or Outcome.FAILED).value.replace("_", " ")
    error = "" if state.test_error is None else f": test error {state.test_error:.2f} %"
    if state.error and state.error.strip():
        error = f": {told_error(state)}"
    left_s = board.left_s()
    left = f"; {duration(left_s)} left" if left_s else ""
    return f"[{board.num():>{len(total)}}/{total}] {state.trial.name} {outcome}{error}{left}"


def told_error(state: TrialState) -> str:
    """The error that ended the trial, or its outcome."""
    outcome = (state.outcome or Outcome.FAILED).value.replace("_", " ")
    return error_line(state.error or "") or outcome


class View:
    """What the terminal shows; called again for every frame."""

    def __init__(self, board: Board, console: Console) -> None:
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
        notices = self.board.notices[-MOST_NOTICES_SHOWN:]
        if self.board.unreached:
            notices = [*notices, unreached_line(self.board.unreached)]
        parts += [Text(notice, style="yellow") for notice in notices]
        return Group(*parts)

    def accidents(self) -> list[str]:
        """A line for each of the last errors, with the first trial that had it."""
        found: dict[str, list[str]] = {}
        for state in self.board.states.values():
            if state.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY):
                found.setdefault(told_error(state), []).append(state.trial.name)
        return [
            visible(f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {error}")
            for error, names in list(found.items())[-MOST_ACCIDENTS_SHOWN:]
        ]

    def summary(self) -> RenderableType:
        """Two lines: how far the sweep is, and how its trials stand."""
        board, total = self.board, len(self.board.states)
        failed = board.num(Outcome.FAILED, Outcome.OUT_OF_MEMORY)
        counts = Text(f"{len(board.running)} running · {board.num(Outcome.COMPLETED)} completed")
        counts.append(f" · {board.num(Outcome.DIVERGED)} diverged · ")
        counts.append(f"{failed} failed", style="red" if failed else "")
        left_s = board.left_s()
        left = f" · {duration(left_s)} left" if left_s else ""
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
        for state in running[:MOST_RUNNING_SHOWN]:
            epochs = f"{state.epochs}/{state.trial.spec.train.epochs}"
            place = [one_line(state.place or "")] if has_places else []
            table.add_row(one_line(state.trial.name), epochs, percent(state.test_error), *place)
        if len(running) > MOST_RUNNING_SHOWN:
            table.add_row(f"and {len(running) - MOST_RUNNING_SHOWN} more")
        return table


def error_table(board: Board) -> Table:
    """Mean test error so far, a row per norm, a column per batch size."""
    errors = board.mean_errors()
    sizes = sorted({s.trial.spec.batch_size for s in board.states.values()}, reverse=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(one_line("test error, %, at batch size"))
    for size in sizes:
        table.add_column(str(size), justify="right", no_wrap=True)
    for (norm, variant), row in errors.items():
        label = f"{norm} · {variant}" if variant else norm
        cells = [f"{row[size]:.2f}" if size in row else "·" for size in sizes]
        table.add_row(one_line(label), *cells)
    return table


def one_line(label: str) -> Text:
    """A label that gives way to the numbers beside it where a table is too wide."""
    return Text(label, no_wrap=True, overflow="ellipsis")


def percent(value: float | None) -> str:
    """`3.33 %`, or a dash while there is none."""
    return "–" if value is None else f"{value:.2f} %"


def duration(seconds: float | None) -> str:
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
