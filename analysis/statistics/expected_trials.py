"""Which trials a comparison should have: what its grid asks for, or what its rows suggest."""

from __future__ import annotations

import pandas as pd


def asked_for(expected: pd.DataFrame, part: pd.DataFrame) -> pd.DataFrame:
    """What the grids of the trials `part` ask for, and whatever else is there."""
    expected = expected[
        (expected["variant"] == part["variant"].iloc[0]) & expected["sweep"].isin(part["sweep"])
    ]
    return pd.concat([expected, part[expected.columns]]).drop_duplicates(
        ["norm", "batch_size", "seed"], ignore_index=True
    )


def crossed(part: pd.DataFrame) -> pd.DataFrame:
    """Every norm of the trials `part` at every batch size, with the seeds that the norm has."""
    seeds = part[["norm", "seed"]].drop_duplicates()
    return seeds.merge(part[["batch_size"]].drop_duplicates(), how="cross")
