"""The same comparison by top-5 error, where trials recorded it."""

from __future__ import annotations

from dataclasses import replace

from analysis.statistics.comparison import Comparison

COLUMN = "test_top5_error"


def by_top5(comparison: Comparison) -> Comparison | None:
    """`comparison` with top-5 error as its error (percent); None where nobody recorded it.

    Guessing five of K classes is wrong in 100 (1 - 5 / K) percent; a diverged trial scores that.
    """
    trials = comparison.trials
    if COLUMN not in trials or trials[COLUMN].isna().all():
        return None
    diverged = trials["outcome"] == "diverged"
    chance = (100 - 5 * (100 - trials["chance_error"])).clip(lower=0)
    trials = trials.assign(test_error=trials[COLUMN], chance_error=chance)
    kept = trials[diverged | trials[COLUMN].notna()]
    return replace(comparison, trials=kept, report=[])
