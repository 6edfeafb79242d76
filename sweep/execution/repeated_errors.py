"""Errors in which several trials end: which cells they stop, and when they stop the sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sweep.execution.trial_state import TrialState
from sweep.grid.expand import GridTrial
from trainables.spec import Outcome

REPEATED_ERRORS = 3
"""From this many trials with the same traceback on, the cause is taken to be a bug."""


@dataclass(frozen=True)
class Stop:
    """A traceback that stopped the cells with these names, or, with `is_sweep`, the whole sweep."""

    error: str
    cells: tuple[str, ...]
    is_sweep: bool = False


@dataclass
class RepeatedErrors:
    """Counts equal tracebacks over the trials of a sweep, and decides which cells to stop.

    A cell is stopped if one traceback has ended three trials of the sweep, one of them in this
    cell, and no trial of the cell has trained for more epochs. The sweep is stopped if no trial at
    all has trained for more epochs, and the failed trials differ in norm, batch size and further
    levels.

    Attributes:
        stopped: the traceback that stopped a cell, by the cell's name.
        ended_by: the traceback that ends the sweep; None while the sweep continues.
    """

    states: Mapping[str, TrialState]
    stopped: dict[str, str] = field(default_factory=dict)
    ended_by: str | None = None

    def __post_init__(self) -> None:
        self._struck: dict[str, list[TrialState]] = {}
        self._untried = [s.trial for s in self.states.values() if s.outcome is None]

    def count_error(self, state: TrialState, error: str) -> list[str]:
        """Count the traceback that ended a trial; return the names of the cells to stop."""
        struck = self._struck.setdefault(error, [])
        struck.append(state)
        if len(struck) < REPEATED_ERRORS:
            return []
        furthest = max(other.epochs for other in struck)
        cells = dict.fromkeys(other.trial.cell_name for other in struck)
        healthy = {s.trial.cell_name for s in self.states.values() if _has_more_epochs(s, furthest)}
        new = [cell for cell in cells if cell not in healthy and cell not in self.stopped]
        self.stopped |= dict.fromkeys(new, error)
        if not healthy and _varies_in_every_factor([s.trial for s in struck], self._untried):
            self.ended_by = error
        return new

    def stops(self) -> list[Stop]:
        """Return a `Stop` for each traceback that stopped cells or the sweep."""
        if self.ended_by is not None:
            return [Stop(self.ended_by, (), is_sweep=True)]
        return [
            Stop(error, tuple(cell for cell, why in self.stopped.items() if why == error))
            for error in dict.fromkeys(self.stopped.values())
        ]


def _has_more_epochs(state: TrialState, epochs: int) -> bool:
    """Return whether a trial has a result, or is in training after more than `epochs`."""
    if state.outcome is None:
        return state.epochs > epochs
    return state.outcome in (Outcome.COMPLETED, Outcome.DIVERGED)


def _varies_in_every_factor(failed: Iterable[GridTrial], all_trials: Iterable[GridTrial]) -> bool:
    """Return whether the failed trials differ in each factor in which all trials differ.

    The factors are the norm, the variant and the batch size.
    """
    levels_failed, all_levels = (
        list(zip(*((t.norm, t.variant, t.spec.batch_size) for t in trials), strict=True))
        for trials in (failed, all_trials)
    )
    return all(
        len(set(some)) >= min(2, len(set(every)))
        for some, every in zip(levels_failed, all_levels, strict=True)
    )
