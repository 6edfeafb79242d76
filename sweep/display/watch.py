"""`status --watch`: the live view of `run`, made from the records on any machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

from rich.console import Console, RenderableType
from rich.live import Live

from sweep.display.live_view import LiveView, format_trial_end, print_line
from sweep.display.status import is_running
from sweep.events import make_trial_ended
from sweep.execution.state import SweepState
from sweep.results import SweepStatus

REFRESH_S = 2.0


def watch_status(console: Console, read_status: Callable[[], SweepStatus]) -> SweepStatus:
    """Show the sweep's status until no driver runs the sweep, and return the last status.

    In a terminal the status is a live view, anywhere else a line for each trial that ends.
    """
    status = read_status()
    state = state_from_records(status)
    view = LiveView(state, console)

    def render() -> RenderableType:
        """Return the next frame of the live view."""
        return view()

    is_live = console.is_terminal
    live = Live(get_renderable=render, console=console, refresh_per_second=4, transient=True)
    with live if is_live else nullcontext():
        while status.is_running:
            time.sleep(REFRESH_S)
            status = read_status()
            before, state = state, state_from_records(status)
            view.state = state
            if not is_live:
                _print_trial_ends(console, before, state)
    return status


def state_from_records(status: SweepStatus) -> SweepState:
    """Return the sweep's state (for the live view) that follows from the records of its trials."""
    state = SweepState(status.states)
    alive = status.holder if status.is_running else None
    for trial_id, record in status.states.records.items():
        if is_running(record, alive):
            state.start(trial_id)
            last = record.attempts[-1]
            state.states[trial_id].place = f"{last.host} {last.device}"
    state.slots = max(1, len(state.running))
    return state


def _print_trial_ends(console: Console, before: SweepState, now: SweepState) -> None:
    """Print a line for each trial that has an outcome in `now` and none in `before`."""
    for trial_id, trial in now.states.items():
        if trial.outcome is not None and before.states[trial_id].outcome is None:
            before.states[trial_id] = trial  # so that each trial is counted in its turn
            print_line(console, format_trial_end(make_trial_ended(before, trial)))
