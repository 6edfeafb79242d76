"""Norms whose trials are one network under two names, and norms that differ in tests alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd


def find_identical_networks(
    trials: pd.DataFrame, norms: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Return groups of `norms` that are one network, cell by cell and seed by seed.

    Their completed trials have equal weights and equal test errors: GroupNorm with a group for each
    channel is InstanceNorm, say. Trials without a `weights_digest` are no evidence, and one pair
    that differs separates two norms.
    """
    known = trials[(trials["outcome"] == "completed") & (trials["weights_digest"] != "")]
    return _group_equal_norms(known, norms, ("weights_digest", "test_error"))


def find_equal_training(trials: pd.DataFrame, norms: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return groups of `norms` of equal training, cell by cell and seed by seed, with unequal
    tests.

    Their completed trials have equal training losses, to the last digit, and some have other test
    errors: they differ in their test statistics, say. Trials without a loss are no evidence.
    """
    known = trials[(trials["outcome"] == "completed") & trials["train_loss"].notna()]
    same = find_identical_networks(trials, norms)
    return tuple(
        group for group in _group_equal_norms(known, norms, ("train_loss",)) if group not in same
    )


def _group_equal_norms(
    trials: pd.DataFrame, norms: Sequence[str], columns: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Return groups of norms whose trials are equal in all `columns` wherever both have one."""
    tables = [
        trials.pivot(index=["batch_size", "seed"], columns="norm", values=column)
        for column in columns
    ]
    groups: list[list[str]] = []
    for first, second in combinations([norm for norm in norms if norm in tables[0]], 2):
        pairs = [table[[first, second]].dropna() for table in tables]
        if all(len(both) and (both[first] == both[second]).all() for both in pairs):
            group = next((g for g in groups if first in g), None)
            if group is None:
                groups.append([first, second])
            elif second not in group:
                group.append(second)
    return tuple(tuple(group) for group in groups)
