"""The looks at a sweep whose seeds are trained until its contrasts are decided: when, by what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sweep.errors import RefusedError
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.planning.feasibility import FeasibleGrid
from sweep.planning.needed_trials import cell_of_contrast
from sweep.planning.trial_states import TrialStates, sweep_folder
from sweep.records.look_history import LOOKS, LookHistory

MEASURES = {"level": 1, "robustness": 2}
"""The measures that are decided, each with how many batch sizes it needs."""

REQUEST_VERSION = 1


def find_due_look(states: TrialStates) -> int | None:
    """Return how many seeds the next look is taken after, if it can be taken now; else None.

    A look waits until every needed trial has an outcome. None too where seeds are fixed, and where
    everything is decided.
    """
    looks, history = states.grid.seed_looks, states.looks
    if looks is None or states.missing() or (history and history.is_over):
        return None
    return history.last_look.num_seeds + 1 if history else looks.first


def count_possible_trials(states: TrialStates) -> int:
    """Return how many trials may be added to those of the plan, if nothing more is decided."""
    looks, history = states.grid.seed_looks, states.looks
    if looks is None or (history and history.is_over):
        return 0
    if history is None:
        cells = {cell_of_contrast(trial) for trial in states.grid.trials}
        return len(cells) * (looks.last - looks.first)
    num_seeds = history.last_look.num_seeds
    return len(history.cells_needed_after(num_seeds)) * (history.rule.last - num_seeds - 1)


def require_same_rule(grid: Grid, history: LookHistory | None) -> None:
    """Check that the grid declares what its looks, if there are any, were taken by.

    Args:
        grid: the grid with its trials; where some cells may be infeasible and none was tried, only
            cells that have gone are noticed.
        history: the looks so far.

    Raises:
        RefusedError: the grid has changed since its first look.
    """
    if grid.seed_looks is None or history is None:
        return
    rule, place = history.rule, f"{sweep_folder(grid).storage.uri}/{LOOKS}"
    if (rule.first, rule.last) != (grid.seed_looks.first, grid.seed_looks.last):
        changed = f"seeds from {rule.first} to {rule.last}"
    elif not _may_lose_cells(grid) and rule.reference != find_reference(grid):
        changed = f"the reference {rule.reference}"
    elif not _has_same_cells(grid, history):
        changed = "other norms, batch sizes or settings"
    else:
        return
    raise RefusedError(
        f"{grid.path}: its looks were taken for {changed}, and a rule holds to the end: undo the "
        f"change, or give the sweep another `name` ({place})"
    )


def _has_same_cells(grid: Grid, history: LookHistory) -> bool:
    """Return whether the grid has the cells of the looks, and no others."""
    now, then = set(list_first_trials(grid.trials)), set(history.trial_ids)
    return then <= now if _may_lose_cells(grid) else then == now


def _may_lose_cells(grid: Grid) -> bool:
    """Return whether cells may turn out to be infeasible, and would be left out."""
    return grid.skip_infeasible and not isinstance(grid, FeasibleGrid)


def list_first_trials(trials: Iterable[GridTrial]) -> tuple[str, ...]:
    """Return the ids of the first seed's trials, sorted: one for each cell."""
    return tuple(sorted(trial.trial_id for trial in trials if trial.spec.seed == 0))


def find_reference(grid: Grid) -> str:
    """Return the norm that the others are compared with: the grid's reference, else its first."""
    return grid.reference or grid.trials[0].norm


def make_look_request(states: TrialStates, num_seeds: int) -> dict[str, Any]:
    """Return what `norm-sweep decide` is asked, as JSON data.

    Args:
        states: the needed trials, all of which have an outcome.
        num_seeds: how many seeds the look is taken after.

    Raises:
        RefusedError: no norm has a batch size in common with the reference.
    """
    history = states.looks
    rule = history.rule.model_dump() if history else _declare_rule(states.grid)
    return {
        "version": REQUEST_VERSION,
        "num_seeds": num_seeds,
        "rule": rule,
        "looks": [look.model_dump() for look in history.looks] if history else [],
        "trials": [_describe_trial(states, trial) for trial in states.grid.trials],
    }


def _declare_rule(grid: Grid) -> dict[str, Any]:
    """Return the rule of the first look, without margins and boundaries."""
    looks = grid.seed_looks
    contrasts = list(_declare_contrasts(grid))
    if looks is None or not contrasts:
        raise RefusedError(
            f"{grid.path}: nothing to decide: no norm has a batch size in common with "
            f"{find_reference(grid)}"
        )
    return {
        "first": looks.first,
        "last": looks.last,
        "reference": find_reference(grid),
        # A grid of a version without the field has streams that depend on the seed alone.
        "seeding": getattr(grid.trials[0].spec, "seeding", "per_seed"),
        "margins": None,
        "boundaries": None,
        "contrasts": contrasts,
    }


def _declare_contrasts(grid: Grid) -> Iterable[dict[str, Any]]:
    """Yield the contrasts of each norm with the reference, in each variant that has both.

    Batch sizes are those at which the variant has a cell of every norm.
    """
    reference = find_reference(grid)
    sizes: dict[str, dict[str, set[int]]] = {}
    for trial in grid.trials:
        of_norm = sizes.setdefault(str(trial.variant), {}).setdefault(trial.norm, set())
        of_norm.add(trial.spec.batch_size)
    for variant, by_norm in sizes.items():
        common = sorted(set.intersection(*by_norm.values()), reverse=True)
        for norm in by_norm:
            if norm == reference or reference not in by_norm:
                continue
            for measure, num_needed in MEASURES.items():
                if len(common) >= num_needed:
                    names = {"variant": variant, "norm": norm, "measure": measure}
                    yield {**names, "batch_sizes": common}


def _describe_trial(states: TrialStates, trial: GridTrial) -> dict[str, Any]:
    """Return a trial's cell, seed and result."""
    record, outcome = states.records[trial.trial_id], states.outcome(trial)
    return {
        "variant": str(trial.variant),
        "norm": trial.norm,
        "batch_size": trial.spec.batch_size,
        "seed": trial.spec.seed,
        "outcome": outcome.value if outcome else None,
        "test_error": record.last_test_error,
        "chance_error": record.chance_error,
    }
