"""`status --watch`: what `run` shows, from the records alone, on any machine that can read them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeAlias

from rich.console import Console, RenderableType
from rich.live import Live

from sweep.display.board import Board
from sweep.display.progress import View, end_line, print_plainly
from sweep.display.status import is_running
from sweep.plan import Plan
from sweep.records.lock import Holder

LOOK_EVERY_S = 2.0

Standing: TypeAlias = tuple[Plan, Holder | None]


def watch(console: Console, look: Callable[[], Standing]) -> Standing:
    """Show how the sweep stands until nobody runs it; how it stands then.

    In a terminal a live view, anywhere else a line for each trial that ends.
    """
    plan, holder = look()
    board = board_of(plan, holder)
    view = View(board, console)

    def render() -> RenderableType:
        return view()

    is_live = console.is_terminal
    live = Live(get_renderable=render, console=console, refresh_per_second=4, transient=True)
    with live if is_live else nullcontext():
        while is_driven(holder):
            time.sleep(LOOK_EVERY_S)
            plan, holder = look()
            before, board = board, board_of(plan, holder)
            view.board = board
            if not is_live:
                _print_ends(console, before, board)
    return plan, holder


def is_driven(holder: Holder | None) -> bool:
    """Whether somebody runs the sweep."""
    return holder is not None and not holder.is_dead()


def board_of(plan: Plan, holder: Holder | None) -> Board:
    """What the driver's own board shows, as far as the records say it."""
    board = Board(plan)
    alive = holder if is_driven(holder) else None
    for trial_id, record in plan.records.items():
        if is_running(record, alive):
            board.start(trial_id)
            last = record.attempts[-1]
            board.states[trial_id].place = f"{last.get('host')} {last.get('device')}"
    board.slots = max(1, len(board.running))
    return board


def _print_ends(console: Console, before: Board, now: Board) -> None:
    for trial_id, state in now.states.items():
        if state.outcome is not None and before.states[trial_id].outcome is None:
            before.states[trial_id] = state  # so that each is counted in its turn
            print_plainly(console, end_line(before, state))
