"""`status --watch`: what `run` shows, from the records alone, on any machine that can read them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeAlias

from rich.console import Console, RenderableType
from rich.live import Live

from sweep.display.live_view import LiveView, format_trial_end, print_line
from sweep.display.status import is_running
from sweep.execution.state import SweepState
from sweep.planning.plan import Plan
from sweep.records.lease import Holder

REFRESH_S = 2.0

Standing: TypeAlias = tuple[Plan, Holder | None]


def watch(console: Console, look: Callable[[], Standing]) -> Standing:
    """Show how the sweep stands until nobody runs it; how it stands then.

    In a terminal a live view, anywhere else a line for each trial that ends.
    """
    plan, holder = look()
    board = state_from_records(plan, holder)
    view = LiveView(board, console)

    def render() -> RenderableType:
        return view()

    is_live = console.is_terminal
    live = Live(get_renderable=render, console=console, refresh_per_second=4, transient=True)
    with live if is_live else nullcontext():
        while has_live_driver(holder):
            time.sleep(REFRESH_S)
            plan, holder = look()
            before, board = board, state_from_records(plan, holder)
            view.board = board
            if not is_live:
                _print_ends(console, before, board)
    return plan, holder


def has_live_driver(holder: Holder | None) -> bool:
    """Whether somebody runs the sweep."""
    return holder is not None and not holder.is_dead()


def state_from_records(plan: Plan, holder: Holder | None) -> SweepState:
    """What the driver's own board shows, as far as the records say it."""
    board = SweepState(plan)
    alive = holder if has_live_driver(holder) else None
    for trial_id, record in plan.records.items():
        if is_running(record, alive):
            board.start(trial_id)
            last = record.attempts[-1]
            board.states[trial_id].place = f"{last.host} {last.device}"
    board.slots = max(1, len(board.running))
    return board


def _print_ends(console: Console, before: SweepState, now: SweepState) -> None:
    for trial_id, state in now.states.items():
        if state.outcome is not None and before.states[trial_id].outcome is None:
            before.states[trial_id] = state  # so that each is counted in its turn
            print_line(console, format_trial_end(before, state))
