"""Errors that several trials end in: which cells they stop, and when they end the whole sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sweep.execution.trial_state import TrialState
from sweep.grid.expand import GridTrial
from trainables.spec import Outcome

REPEATED_ERRORS = 3
"""So many trials that end in one and the same traceback have a bug, and no accident."""


@dataclass(frozen=True)
class Stop:
    """One traceback that has stopped cells (by name), or with `is_sweep` the whole sweep."""

    error: str
    cells: tuple[str, ...]
    is_sweep: bool = False


@dataclass
class RepeatedErrors:
    """Counts equal tracebacks over the trials of a sweep.

    A cell is stopped where an error has ended three trials of the sweep, one of them the cell's,
    and no trial of the cell has come further. The sweep is stopped where no trial at all has, and
    the error is not of one norm, one batch size or one further level alone.

    Attributes:
        stopped: by name of a cell the traceback that has stopped it.
        ended_by: the traceback that ends the sweep, None while it goes on.
    """

    states: Mapping[str, TrialState]
    stopped: dict[str, str] = field(default_factory=dict)
    ended_by: str | None = None

    def __post_init__(self) -> None:
        self._struck: dict[str, list[TrialState]] = {}
        self._untried = [s.trial for s in self.states.values() if s.outcome is None]

    def note(self, state: TrialState, error: str) -> list[str]:
        """Count the error that has ended a trial; the cells that it stops now, by name."""
        struck = self._struck.setdefault(error, [])
        struck.append(state)
        if len(struck) < REPEATED_ERRORS:
            return []
        furthest = max(other.epochs for other in struck)
        cells = dict.fromkeys(other.trial.cell_name for other in struck)
        healthy = {s.trial.cell_name for s in self.states.values() if _is_beyond(s, furthest)}
        new = [cell for cell in cells if cell not in healthy and cell not in self.stopped]
        self.stopped |= dict.fromkeys(new, error)
        if not healthy and _is_everywhere([s.trial for s in struck], self._untried):
            self.ended_by = error
        return new

    def stops(self) -> list[Stop]:
        """What was stopped, a traceback each."""
        if self.ended_by is not None:
            return [Stop(self.ended_by, (), is_sweep=True)]
        return [
            Stop(error, tuple(cell for cell, why in self.stopped.items() if why == error))
            for error in dict.fromkeys(self.stopped.values())
        ]


def _is_beyond(state: TrialState, epochs: int) -> bool:
    """Whether a trial has a result, or trains and has more epochs than those that failed."""
    if state.outcome is None:
        return state.epochs > epochs
    return state.outcome in (Outcome.COMPLETED, Outcome.DIVERGED)


def _is_everywhere(struck: Iterable[GridTrial], asked: Iterable[GridTrial]) -> bool:
    """Whether the trials struck differ in whatever the trials asked for differ in, but the seed."""
    levels_struck, levels_asked = (
        list(zip(*((t.norm, t.variant, t.spec.batch_size) for t in trials), strict=True))
        for trials in (struck, asked)
    )
    return all(
        len(set(some)) >= min(2, len(set(every)))
        for some, every in zip(levels_struck, levels_asked, strict=True)
    )
