"""Trials that a comparison should have: those of its grid, or a crossing of what its rows contain."""

from __future__ import annotations

import pandas as pd


def select_expected(expected: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that the grids of `trials` ask for, and further ones that exist."""
    expected = expected[
        (expected["variant"] == trials["variant"].iloc[0]) & expected["sweep"].isin(trials["sweep"])
    ]
    return pd.concat([expected, trials[expected.columns]]).drop_duplicates(
        ["norm", "batch_size", "seed"], ignore_index=True
    )


def cross_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return every norm of `trials` at every batch size, with the seeds that the norm has."""
    seeds = trials[["norm", "seed"]].drop_duplicates()
    return seeds.merge(trials[["batch_size"]].drop_duplicates(), how="cross")
