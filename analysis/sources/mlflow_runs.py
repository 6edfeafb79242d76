"""What MLflow's runs say about trials: the tags, params and metrics that a sweep writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import pandas as pd

from analysis.errors import InputError
from analysis.schema import LeftOut
from analysis.sources.assemble import (
    Bits,
    Found,
    edition_of,
    empty_curves,
    left_out_of,
    settings_of,
    strangers_note,
    utc,
)
from analysis.sources.place import records_here

EXPECTED_TAG = "sweep.expected."
ASKED_TAG = "sweep.trials."
LEFT_OUT_TAG = "sweep.left_out."
REFERENCE_TAG = "sweep.reference."
GRID_TAG = "sweep.grid."
TRIAL_TAG = "sweep.trial_id"


@dataclass(frozen=True)
class Run:
    """A run of MLflow: its id, tags and params, when it began and ended (ms since the epoch).

    `latest` holds the newest value of each metric, where these were read with the run.
    """

    run_id: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    start_ms: int | None = None
    end_ms: int | None = None
    latest: Mapping[str, float] = field(default_factory=dict)


Point = tuple[str, str, int, int, float]
"""Run id, metric, step, timestamp, value."""


def found_in(
    name: str,
    tags: Mapping[str, str],
    runs: Iterable[Run],
    points: Iterable[Point],
    correct: Mapping[str, Bits],
) -> Found:
    """The trials of the experiment `name`; runs without the tag of a trial are not trials.

    `correct` holds by run id which test examples were right.
    """
    there = {run.run_id: run for run in runs if TRIAL_TAG in run.tags}
    asked = _asked_ids(tags)
    trials = {run_id: run for run_id, run in there.items() if _is_asked(run, asked)}
    strangers = len(there) - len(trials)
    ids = _ids(trials.values())
    found = Found(
        name=name,
        rows=[_row(run, ids[run_id]) for run_id, run in trials.items()],
        curves=_curves(ids, points),
        expected=_expected(tags),
        left_out=_left_out(tags),
        run_with={
            key.removeprefix(GRID_TAG): json.loads(text)
            for key, text in tags.items()
            if key.startswith(GRID_TAG)
        },
        settings={ids[run_id]: settings_of(run.params) for run_id, run in trials.items()},
        reference=next((tags[key] for key in sorted(tags) if key.startswith(REFERENCE_TAG)), None),
        correct={ids[run_id]: bits for run_id, bits in correct.items() if run_id in ids},
        notes=[strangers_note(strangers)] if strangers else [],
    )
    for run in trials.values():
        found.add_packages(_packages(run.tags))
    return found


def _asked_ids(tags: Mapping[str, str]) -> dict[str, set[str]]:
    """By sweep the ids of the trials that its grid asks for; older sweeps do not say."""
    asked: dict[str, set[str]] = {}
    for key, text in tags.items():
        if key.startswith(ASKED_TAG):
            sweep = key.removeprefix(ASKED_TAG).partition(":")[0]
            asked.setdefault(sweep, set()).update(json.loads(text))
    return asked


def _is_asked(run: Run, asked: Mapping[str, set[str]]) -> bool:
    """Whether the grid as it stands asks for the run's trial, as far as it says."""
    ids = asked.get(run.tags.get("sweep.name", ""))
    return ids is None or run.tags[TRIAL_TAG] in ids


def _ids(runs: Iterable[Run]) -> dict[str, str]:
    """Each run's trial, by run id; a trial that has several runs keeps them apart by their ids."""
    ids: dict[str, str] = {}
    for run in runs:
        trial = run.tags[TRIAL_TAG]
        ids[run.run_id] = f"{trial} of run {run.run_id[:8]}" if trial in ids.values() else trial
    return ids


def _curves(ids: Mapping[str, str], points: Iterable[Point]) -> pd.DataFrame:
    """One row per trial and epoch; of several values for one step the newest counts."""
    columns = ["run_id", "metric", "epoch", "timestamp", "value"]
    long = pd.DataFrame.from_records([p for p in points if p[0] in ids], columns=columns)
    if long.empty:
        return empty_curves()
    newest = long.sort_values("timestamp", kind="stable")
    newest = newest.drop_duplicates(["run_id", "metric", "epoch"], keep="last")
    newest = newest.assign(trial_id=newest["run_id"].map(ids))
    wide = newest.pivot(index=["trial_id", "epoch"], columns="metric", values="value")
    return wide.rename_axis(columns=None).reset_index()


def _row(run: Run, trial_id: str) -> dict[str, Any]:
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
        "edition": edition_of(
            tags.get("sweep.edition"), params.get("data.num_train"), params.get("data.num_test")
        ),
        "preset": json.loads(tags["sweep.preset"]) if "sweep.preset" in tags else None,
        "model": params.get("model.name"),
        "num_test": tags.get("sweep.num_test") or None,
        "source_digest": tags.get("sweep.source"),
        "weights_digest": tags.get("sweep.weights_digest"),
        "device": tags.get("sweep.device"),
        "host": tags.get("sweep.host"),
        "started": utc(run.start_ms),
        "ended": utc(run.end_ms) if outcome != "running" else "",
    }


def _packages(tags: Mapping[str, str]) -> dict[str, str]:
    """Versions that a trial was trained with; older sweeps said Python's alone."""
    packages: dict[str, str] = json.loads(tags.get("sweep.packages", "{}"))
    return packages | ({"python": tags["sweep.python"]} if "sweep.python" in tags else {})


def _expected(tags: Mapping[str, str]) -> list[dict[str, Any]]:
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


def _left_out(tags: Mapping[str, str]) -> list[LeftOut]:
    return [
        item
        for key, text in sorted(tags.items())
        if key.startswith(LEFT_OUT_TAG)
        for item in left_out_of(key.removeprefix(LEFT_OUT_TAG).partition(":")[0], json.loads(text))
    ]


def no_experiment(name: str, existing: Iterable[str], where: str) -> InputError:
    """One line: there is no such experiment; its records here, the nearest name, or all names."""
    names = sorted(set(existing) - {"Default"})
    nearest = get_close_matches(name, names, n=1)
    guess = f"; did you mean {nearest[0]!r}?" if nearest else ""
    listed = f" It has: {', '.join(names)}." if names else " It has none."
    kept = records_here(name)
    return InputError(f"no experiment {name!r} in {where}{kept or guess or '.' + listed}")
