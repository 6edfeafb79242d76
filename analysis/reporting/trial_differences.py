"""What a comparison should not hide: what was left out, and where trials are not alike."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.formatting import counted, listed
from analysis.reporting.unequal_training import unequal_cells
from analysis.schema import Results
from analysis.statistics.comparison import Comparison


def notes(trials: Results, found: Sequence[Comparison]) -> list[str]:
    """Sentences on trials that are absent, of other versions, or not trained alike."""
    unlike = [line for item in found for line in _unlike(item, trials.settings)]
    unlike += unequal_cells(found, trials.settings)
    return [
        *trials.notes,
        *_unstarted(trials),
        *_left_out(trials),
        *_mixed(trials.trials),
        *dict.fromkeys(unlike),
    ]


def _unstarted(trials: Results) -> list[str]:
    """Variants that were asked for and of which no trial has been started."""
    absent = set(trials.expected["variant"]) - set(trials.trials["variant"])
    return [f"Not started: {listed(sorted(absent))}."] if absent else []


def _left_out(trials: Results) -> list[str]:
    """Variants of which every cell is left out: no section of the report is of them."""
    there = set(trials.trials["variant"])
    return [
        f"Not trained: {item.norm} at batch sizes {listed(item.batch_sizes)}, {item.variant}: "
        f"{item.reason}."
        for item in trials.untrained
        if item.variant not in there
    ]


def _mixed(trials: pd.DataFrame) -> list[str]:
    """Versions and editions that differ between the trials."""
    lines = []
    for column, what in (
        ("sweep", "sweeps"),
        ("code_version", "code versions"),
        ("spec_version", "spec versions"),
        ("device", "devices"),
    ):
        counts = trials[trials[column] != ""].groupby(column).size()
        if len(counts) > 1:
            parts = [f"{version} ({counted(n, 'trial')})" for version, n in counts.items()]
            lines.append(f"These trials come from different {what}: {listed(parts)}.")
    limited = trials["edition"] != ""
    if limited.any() and not limited.all():
        lines.append(
            "Some trials saw only a part of the data; they are compared among themselves, and "
            "never averaged with the others."
        )
    return lines


def _unlike(comparison: Comparison, settings: pd.DataFrame) -> list[str]:
    """Settings that differ between trials of one batch size, which confounds the norms.

    What differs between batch sizes alone is the protocol, and no confusion.
    """
    trials = comparison.trials.set_index("trial_id")
    values = settings.loc[trials.index]
    lines = []
    for name in values:
        if (values[name].groupby(trials["batch_size"]).nunique() > 1).any():
            by_norm = values[name].groupby(trials["norm"]).unique()
            parts = [f"{' and '.join(sorted(by_norm[norm]))} for {norm}" for norm in by_norm.index]
            lines.append(
                f"Trials of one batch size were not trained alike: {name} is {listed(parts)}."
            )
    return lines
