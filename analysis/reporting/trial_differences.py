"""Sentences on trials that are absent or were not trained in the same way."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.formatting import format_count, join_words
from analysis.reporting.unequal_training import describe_unequal_training
from analysis.schema import Results
from analysis.statistics.comparison import Comparison


def describe_trial_differences(results: Results, comparisons: Sequence[Comparison]) -> list[str]:
    """Return sentences on trials that are absent, of other versions, or not trained alike."""
    unlike = [
        line for item in comparisons for line in _describe_unequal_settings(item, results.settings)
    ]
    unlike += describe_unequal_training(comparisons, results.settings)
    return [
        *results.notes,
        *_describe_unstarted(results),
        *_describe_untrained(results),
        *_describe_mixed_versions(results.trials),
        *dict.fromkeys(unlike),
    ]


def _describe_unstarted(results: Results) -> list[str]:
    """Return a sentence on expected variants of which no trial has been started."""
    absent = set(results.expected["variant"]) - set(results.trials["variant"])
    return [f"Not started: {join_words(sorted(absent))}."] if absent else []


def _describe_untrained(results: Results) -> list[str]:
    """Return sentences on variants of which no cell is trained, so that they have no section."""
    there = set(results.trials["variant"])
    return [
        f"Not trained: {item.norm} at batch sizes {join_words(item.batch_sizes)}, {item.variant}: "
        f"{item.reason}."
        for item in results.untrained
        if item.variant not in there
    ]


def _describe_mixed_versions(trials: pd.DataFrame) -> list[str]:
    """Return sentences on sweeps, versions, devices and presets that differ between the trials."""
    lines = []
    for column, what in (
        ("sweep", "sweeps"),
        ("code_version", "code versions"),
        ("spec_version", "spec versions"),
        ("device", "devices"),
    ):
        counts = trials[trials[column] != ""].groupby(column).size()
        if len(counts) > 1:
            parts = [f"{version} ({format_count(n, 'trial')})" for version, n in counts.items()]
            lines.append(f"These trials come from different {what}: {join_words(parts)}.")
    limited = trials["edition"] != ""
    if limited.any() and not limited.all():
        lines.append(
            "Some trials saw only a part of the data; they are compared among themselves, and "
            "never averaged with the others."
        )
    return lines


def _describe_unequal_settings(comparison: Comparison, settings: pd.DataFrame) -> list[str]:
    """Return sentences on settings that differ within a batch size, which confounds the norms.

    Settings that differ between batch sizes alone are the protocol and confound nothing.
    """
    trials = comparison.trials.set_index("trial_id")
    values = settings.loc[trials.index]
    lines = []
    for name in values:
        if (values[name].groupby(trials["batch_size"]).nunique() > 1).any():
            by_norm = values[name].groupby(trials["norm"]).unique()
            parts = [f"{' and '.join(sorted(by_norm[norm]))} for {norm}" for norm in by_norm.index]
            lines.append(
                f"Trials of one batch size were not trained alike: {name} is {join_words(parts)}."
            )
    return lines
