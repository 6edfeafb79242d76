"""Norms that are one network under two names: their trials end with the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd


def same_networks(trials: pd.DataFrame, norms: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of `norms` whose completed trials end with equal weights, cell by cell, seed by seed.

    GroupNorm with a group for each channel is InstanceNorm, say. Trials whose `weights_digest` is
    unknown tell nothing, and one pair that differs tells two norms apart.
    """
    known = trials[(trials["outcome"] == "completed") & (trials["weights_digest"] != "")]
    table = known.pivot(index=["batch_size", "seed"], columns="norm", values="weights_digest")
    groups: list[list[str]] = []
    for first, second in combinations([norm for norm in norms if norm in table], 2):
        both = table[[first, second]].dropna()
        if len(both) and (both[first] == both[second]).all():
            group = next((g for g in groups if first in g), None)
            if group is None:
                groups.append([first, second])
            elif second not in group:
                group.append(second)
    return tuple(tuple(group) for group in groups)
