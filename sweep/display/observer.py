"""Observers of a sweep's events: a terminal's live view, plain lines, a notebook's progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.live import Live

from sweep.display.live_view import LiveView, format_trial_end, print_line
from sweep.display.looks import describe_decisions
from sweep.display.tables import print_resumption
from sweep.errors import escape_invisible
from sweep.events import (
    CellsSkipped,
    EpochEnded,
    Event,
    LookTaken,
    Noticed,
    OnEvent,
    Stage,
    StageEnded,
    StageStarted,
    TrainingEnded,
    TrainingStarted,
    TrialEnded,
    TrialsCounted,
)
from sweep.messages import Level, Message
from sweep.wording import count_noun

STYLES = {Level.WARNING: "yellow", Level.ERROR: "red"}
PREFIXES = {Level.NOTE: "note: ", Level.WARNING: "warning: "}


@contextmanager
def live_display(console: Console | None = None) -> Iterator[OnEvent]:
    """Show events on a console until the block ends: a live view, or lines without a terminal.

    Args:
        console: where to show them; by default standard output.

    Yields:
        The observer, to be given to `sweep.run` as `on_event`.

    Examples:
        >>> import sweep
        >>> with sweep.live_display() as on_event:  # doctest: +SKIP
        ...     sweep.run(sweep.load_grid("grid.yaml"), on_event=on_event)
    """
    display = EventDisplay(console or Console())
    try:
        yield display.show
    finally:
        display.close()


def notebook_progress(console: Console | None = None) -> OnEvent:
    """Return an observer for a notebook's cell: a line for each message, stage and trial.

    The line of each trial that ends has its outcome, its test error and the expected time left.

    Args:
        console: where to show them; by default the output of the notebook's cell.

    Examples:
        >>> import sweep
        >>> on_event = sweep.notebook_progress()
    """
    # Without a terminal, so that lines stay: a live view would be drawn again and again.
    chosen = console or Console(force_terminal=False, force_jupyter=False, width=100)
    return EventDisplay(chosen).show


class EventDisplay:
    """Shows events on a console: in a terminal a spinner per stage, a live view of trials."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = ExitStack()

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Message():
                style = STYLES.get(event.level)
                print_line(self.console, f"{PREFIXES.get(event.level, '')}{event.text}", style)
            case CellsSkipped():
                print_line(self.console, f"skipped: {event.text}")
            case TrialsCounted():
                print_resumption(self.console, event.resumption)
            case StageStarted() | StageEnded():
                self._show_stage(event)
            case TrainingStarted() | TrainingEnded():
                self._show_training(event)
            case LookTaken():
                for line in describe_decisions(event.history):
                    print_line(self.console, line)
            case TrialEnded() | Noticed() | EpochEnded():
                self._show_progress(event)

    def close(self) -> None:
        """Take down the live view or the spinner, if an error has left one."""
        self._live.close()

    def _show_stage(self, event: StageStarted | StageEnded) -> None:
        """Start or stop the spinner of a stage; without a terminal print at most a line."""
        if not self.console.is_terminal:
            if isinstance(event, StageStarted) and event.stage is Stage.CHECK_CELLS:
                print_line(self.console, event.description)
            return
        self._live.close()
        if isinstance(event, StageStarted):
            self._live.enter_context(self.console.status(describe_stage(event)))

    def _show_training(self, event: TrainingStarted | TrainingEnded) -> None:
        """Start the live view, or end it with a summary; without a terminal print a line."""
        state = event.state
        is_start = isinstance(event, TrainingStarted)
        if not self.console.is_terminal:
            if is_start:
                num_missing = len(state.states) - state.num()
                slots = min(state.slots, num_missing)
                line = f"training {count_noun(num_missing, 'trial')}, {slots} at a time"
                print_line(self.console, line)
            return
        self._live.close()
        view = LiveView(state, self.console)
        if is_start:
            self._live.enter_context(
                Live(
                    get_renderable=view, console=self.console, refresh_per_second=4, transient=True
                )
            )
            return
        self.console.print(view.summary())
        for line in state.notices:
            print_line(self.console, line)

    def _show_progress(self, event: TrialEnded | Noticed | EpochEnded) -> None:
        """Print a line for a trial that ended, or for a notice, where there is no live view."""
        if self.console.is_terminal:
            return  # the live view shows the state
        if isinstance(event, TrialEnded):
            print_line(self.console, format_trial_end(event))
        elif isinstance(event, Noticed):
            print_line(self.console, event.text)


def describe_stage(event: StageStarted) -> str:
    """Return the stage's description, with markup and invisible characters escaped."""
    from rich.markup import escape

    return escape(escape_invisible(event.description))
