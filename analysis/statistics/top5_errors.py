"""A comparison by top-5 error, where trials recorded it."""

from __future__ import annotations

from dataclasses import replace

from analysis.statistics.comparison import Comparison

TOP5_COLUMN = "test_top5_error"


def compare_by_top5(comparison: Comparison) -> Comparison | None:
    """Return `comparison` with top-5 error as its error (percent); None where no trial recorded it.

    Guessing five of K classes is wrong in 100 (1 - 5 / K) percent; a diverged trial has this error.
    """
    trials = comparison.trials
    if TOP5_COLUMN not in trials or trials[TOP5_COLUMN].isna().all():
        return None
    diverged = trials["outcome"] == "diverged"
    chance = (100 - 5 * (100 - trials["chance_error"])).clip(lower=0)
    trials = trials.assign(test_error=trials[TOP5_COLUMN], chance_error=chance)
    kept = trials[diverged | trials[TOP5_COLUMN].notna()]
    return replace(comparison, trials=kept, report=[])
