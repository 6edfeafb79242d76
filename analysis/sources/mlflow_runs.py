"""Trials from MLflow's runs: the tags, params and metrics that a sweep exports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.schema import UntrainedCells
from analysis.sources.raw_results import (
    PackedBits,
    RawResults,
    describe_data_limits,
    format_norm_options,
    format_unexpected_note,
    format_utc,
    make_empty_curves,
    parse_untrained,
    select_settings,
)
from analysis.sources.source_location import suggest_local_records

EXPECTED_TAG = "sweep.expected."
TRIAL_IDS_TAG = "sweep.trials."
UNTRAINED_TAG = "sweep.left_out."
REFERENCE_TAG = "sweep.reference."
GRID_TAG = "sweep.grid."
TRIAL_TAG = "sweep.trial_id"


@dataclass(frozen=True)
class TrialRun:
    """An MLflow run of a trial: its id, tags and params, and its start and end (ms since 1970).

    `latest_metrics` holds the newest value of each metric, where it was read with the run.
    """

    run_id: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    start_ms: int | None = None
    end_ms: int | None = None
    latest_metrics: Mapping[str, float] = field(default_factory=dict)


MetricPoint = tuple[str, str, int, int, float]
"""Run id, metric, step, timestamp, value."""


def collect_raw_results(
    name: str,
    tags: Mapping[str, str],
    runs: Iterable[TrialRun],
    metric_points: Iterable[MetricPoint],
    correct: Mapping[str, PackedBits],
) -> RawResults:
    """Return the raw results of the experiment `name` from its tags, runs and metric points.

    Runs without the tag of a trial are left out. `correct` holds by run id which test examples were
    right.
    """
    there = {run.run_id: run for run in runs if TRIAL_TAG in run.tags}
    asked = _parse_trial_ids(tags)
    trials = {run_id: run for run_id, run in there.items() if _is_expected(run, asked)}
    strangers = len(there) - len(trials)
    ids = _name_trials(trials.values())
    found = RawResults(
        name=name,
        rows=[_build_row(run, ids[run_id]) for run_id, run in trials.items()],
        curves=_tabulate_curves(ids, metric_points),
        expected=_parse_expected(tags),
        untrained=_parse_untrained_tags(tags),
        grid_states={
            key.removeprefix(GRID_TAG): json.loads(text)
            for key, text in tags.items()
            if key.startswith(GRID_TAG)
        },
        norm_options={
            ids[run_id]: format_norm_options(run.params) for run_id, run in trials.items()
        },
        settings={ids[run_id]: select_settings(run.params) for run_id, run in trials.items()},
        reference=next((tags[key] for key in sorted(tags) if key.startswith(REFERENCE_TAG)), None),
        correct={ids[run_id]: bits for run_id, bits in correct.items() if run_id in ids},
        notes=[format_unexpected_note(strangers)] if strangers else [],
    )
    for run in trials.values():
        found.add_packages(_parse_packages(run.tags))
    return found


def _parse_trial_ids(tags: Mapping[str, str]) -> dict[str, set[str]]:
    """Return by sweep the ids of the trials in its grid; sweeps of older versions have none."""
    asked: dict[str, set[str]] = {}
    for key, text in tags.items():
        if key.startswith(TRIAL_IDS_TAG):
            sweep = key.removeprefix(TRIAL_IDS_TAG).partition(":")[0]
            asked.setdefault(sweep, set()).update(json.loads(text))
    return asked


def _is_expected(run: TrialRun, trial_ids: Mapping[str, set[str]]) -> bool:
    """Return whether the grid asks for the run's trial; true where its sweep states no ids."""
    ids = trial_ids.get(run.tags.get("sweep.name", ""))
    return ids is None or run.tags[TRIAL_TAG] in ids


def _name_trials(runs: Iterable[TrialRun]) -> dict[str, str]:
    """Return trial ids by run id; a second run of a trial gets its run id appended."""
    ids: dict[str, str] = {}
    for run in runs:
        trial = run.tags[TRIAL_TAG]
        ids[run.run_id] = f"{trial} of run {run.run_id[:8]}" if trial in ids.values() else trial
    return ids


def _tabulate_curves(
    trial_ids: Mapping[str, str], metric_points: Iterable[MetricPoint]
) -> pd.DataFrame:
    """Return one row per trial and epoch; of several values for one step, the newest."""
    columns = ["run_id", "metric", "epoch", "timestamp", "value"]
    long = pd.DataFrame.from_records(
        [p for p in metric_points if p[0] in trial_ids], columns=columns
    )
    if long.empty:
        return make_empty_curves()
    newest = long.sort_values("timestamp", kind="stable")
    newest = newest.drop_duplicates(["run_id", "metric", "epoch"], keep="last")
    newest = newest.assign(trial_id=newest["run_id"].map(trial_ids))
    wide = newest.pivot(index=["trial_id", "epoch"], columns="metric", values="value")
    return wide.rename_axis(columns=None).reset_index()


def _build_row(run: TrialRun, trial_id: str) -> dict[str, Any]:
    """Return one trial's row from its run's tags and params."""
    tags, params = run.tags, run.params
    outcome = tags.get("sweep.outcome", "running")
    return {
        "norm": tags.get("norm"),
        "variant": tags.get("sweep.variant"),
        "batch_size": params.get("batch_size"),
        "seed": params.get("seed"),
        "outcome": outcome,
        "chance_error": tags.get("sweep.chance_error") or None,
        "trial_id": trial_id,
        "sweep": tags.get("sweep.name"),
        "spec_version": tags.get("sweep.spec_version"),
        "code_version": tags.get("sweep.code_version"),
        "dataset": params.get("data.name"),
        "edition": describe_data_limits(
            tags.get("sweep.edition"), params.get("data.num_train"), params.get("data.num_test")
        ),
        "preset": json.loads(tags["sweep.preset"]) if "sweep.preset" in tags else None,
        "model": params.get("model.name"),
        "num_test": tags.get("sweep.num_test") or None,
        "source_digest": tags.get("sweep.source"),
        "weights_digest": tags.get("sweep.weights_digest"),
        "device": tags.get("sweep.device"),
        "host": tags.get("sweep.host"),
        "started": format_utc(run.start_ms),
        "ended": format_utc(run.end_ms) if outcome != "running" else "",
    }


def _parse_packages(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the package versions of a run; older versions stored only Python's."""
    packages: dict[str, str] = json.loads(tags.get("sweep.packages", "{}"))
    return packages | ({"python": tags["sweep.python"]} if "sweep.python" in tags else {})


def _parse_expected(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return one row per trial that the experiment's grids ask for."""
    return [
        {
            "sweep": key.removeprefix(EXPECTED_TAG).partition(":")[0],
            "norm": block["norm"],
            "variant": block["variant"],
            "batch_size": batch_size,
            "seed": seed,
        }
        for key, text in sorted(tags.items())
        if key.startswith(EXPECTED_TAG)
        for block in json.loads(text)
        for batch_size in block["batch_sizes"]
        for seed in block["seeds"]
    ]


def _parse_untrained_tags(tags: Mapping[str, str]) -> list[UntrainedCells]:
    """Return the cells that the experiment's grids cross but do not train."""
    return [
        item
        for key, text in sorted(tags.items())
        if key.startswith(UNTRAINED_TAG)
        for item in parse_untrained(
            key.removeprefix(UNTRAINED_TAG).partition(":")[0], json.loads(text)
        )
    ]


def make_missing_experiment_error(
    name: str, existing: Iterable[str], location: str
) -> AnalysisError:
    """Return the error for an unknown experiment, with its records here or the nearest name."""
    names = sorted(set(existing) - {"Default"})
    nearest = get_close_matches(name, names, n=1)
    guess = f"; did you mean {nearest[0]!r}?" if nearest else ""
    listed = f" It has: {', '.join(names)}." if names else " It has none."
    kept = suggest_local_records(name)
    return AnalysisError(f"no experiment {name!r} in {location}{kept or guess or '.' + listed}")
