"""The JSON of `plan --json` and `status --json`: the tables' numbers for other programs.

Keys are never renamed or given another meaning, only added. Times are in seconds, errors in
percent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import mean
from typing import Any

from sweep.display.status import is_running
from sweep.grid.expand import GridTrial
from sweep.grid.variant import Variant
from sweep.planning.looks import count_possible_trials
from sweep.planning.makespan import forecast_by_slots, makespan
from sweep.planning.plan import Plan
from sweep.planning.trial_states import TrialStates
from sweep.records.lease import Holder
from sweep.records.trial_log import find_log


def build_plan_data(plan: Plan, slots: int) -> dict[str, Any]:
    """Return the JSON data of `plan --json`: the sweep, its cells and the missing trials.

    Forecasts of time are None before any epoch or step was timed.
    """
    missing = plan.missing()
    seconds = [plan.remaining_s(trial) for trial in missing] if plan.costs.is_measured else None
    return {
        **_build_sweep_data(plan),
        "missing": [_build_trial_data(trial) for trial in missing],
        "slots": slots,
        "left_s": None if seconds is None else makespan(seconds, slots),
        "occupations": [
            {"slots": o.slots, "makespan_s": o.makespan_s, "slot_hours": o.slot_hours}
            for o in (forecast_by_slots(seconds) if seconds else ())
        ],
        "saved_side_by_side": plan.fusion_saving(),
    }


def build_status_data(states: TrialStates, holder: Holder | None) -> dict[str, Any]:
    """Return the JSON data of `status --json`: the sweep, its driver, trials with a record."""
    alive = holder if holder and not holder.is_dead() else None
    begun = [trial for trial in states.grid.trials if trial.trial_id in states.records]
    return {
        **_build_sweep_data(states),
        "running": alive.who if alive else None,
        "died": holder.who if holder and not alive else None,
        "trials": [
            _build_trial_data(trial) | _build_progress_data(states, trial, alive) for trial in begun
        ],
        "not_readable": list(states.damaged.values()),
    }


def _build_sweep_data(states: TrialStates) -> dict[str, Any]:
    """Return the JSON object of a sweep: names, counts of trials by outcome, and cells."""
    grid = states.grid
    outcomes = Counter(outcome.value for t in grid.trials if (outcome := states.outcome(t)))
    cells: dict[tuple[str, Variant, int], list[GridTrial]] = {}
    for trial in grid.trials:
        cells.setdefault((trial.norm, trial.variant, trial.spec.batch_size), []).append(trial)
    return {
        "name": grid.name,
        "experiment": grid.experiment,
        "edition": str(grid.preset) if grid.preset else None,
        **({"preset": grid.preset.to_dict()} if grid.preset else {}),
        "records": states.folder.storage.uri,
        "num_trials": len(grid.trials),
        "num_missing": sum(states.outcome(trial) is None for trial in grid.trials),
        "outcomes": dict(sorted(outcomes.items())),
        **_build_looks_data(states),
        "cells": [_build_cell_data(states, trials) for trials in cells.values()],
    }


def _build_looks_data(states: TrialStates) -> dict[str, Any]:
    """Return what is decided, where seeds are trained until contrasts are decided."""
    declared, history = states.grid.seed_looks, states.looks
    if declared is None:
        return {}
    latest = history.latest().values() if history else ()
    found = {
        "from": declared.first,
        "to": declared.last,
        "num_seeds": history.last_look.num_seeds if history else 0,
        "is_over": history is not None and history.is_over,
        "num_possible": count_possible_trials(states),
        "contrasts": [{**item.model_dump(), "num_seeds": at} for at, item in latest],
    }
    return {"looks": found}


def _build_cell_data(states: TrialStates, trials: Sequence[GridTrial]) -> dict[str, Any]:
    """Return the JSON object of a cell: its levels, seeds done and mean test error (percent)."""
    first = trials[0]
    outcomes = [states.outcome(trial) for trial in trials]
    errors = [
        states.records[trial.trial_id].epochs[-1].metrics.test_error
        for trial, outcome in zip(trials, outcomes, strict=True)
        if outcome == "completed"
    ]
    return {
        "norm": first.norm,
        "variant": str(first.variant),
        **_build_level_data(first),
        "batch_size": first.spec.batch_size,
        "num_seeds": len(trials),
        "num_done": sum(outcome is not None for outcome in outcomes),
        "mean_test_error": mean(errors) if errors else None,
    }


def _build_level_data(trial: GridTrial) -> dict[str, Any]:
    """Return the levels of the extra factors as data, where the grid has any."""
    return {"levels": dict(trial.variant)} if trial.variant else {}


def _build_trial_data(trial: GridTrial) -> dict[str, Any]:
    """Return the JSON object of a trial: its id, its name and its levels."""
    return {
        "trial_id": trial.trial_id,
        "name": trial.name,
        "norm": trial.norm,
        "variant": str(trial.variant),
        **_build_level_data(trial),
        "batch_size": trial.spec.batch_size,
        "seed": trial.spec.seed,
        "epochs": trial.spec.train.epochs,
    }


def _build_progress_data(
    states: TrialStates, trial: GridTrial, holder: Holder | None
) -> dict[str, Any]:
    """Return the JSON object of a trial's record: outcome, epochs, test error, attempts."""
    record = states.records[trial.trial_id]
    last = record.last_attempt
    return {
        "outcome": record.outcome.value if record.outcome else None,
        "is_running": is_running(record, holder),
        "epochs_done": len(record.epochs),
        "test_error": record.last_test_error,
        "host": last.host if last else None,
        "device": last.device if last else None,
        "num_attempts": len(record.attempts),
        "error": record.error.message if record.error else None,
        "log": find_log(states.folder.trial(trial.trial_id)) if record.error else None,
    }
