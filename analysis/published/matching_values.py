"""Printed values that belong beside given trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.published.printed_values import PublishedValue, list_published_values
from analysis.statistics.robustness import compute_auec

PAPER_OPTIONS = {"num_groups=32", "bias=after", "key_features=group"}
"""Options that the papers' norms have: labels with and without them mean one layer."""


def find_published_values(trials: pd.DataFrame) -> list[PublishedValue]:
    """Return the printed values for the data set, network, norms and batch sizes of `trials`.

    Empty for trials on a part of the data; a value of another network is not comparable.
    """
    whole = trials[trials["edition"] == ""]
    names = ("dataset", "model", "norm", "batch_size")
    cells = set(
        zip(
            whole["dataset"],
            whole["model"],
            whole["norm"].map(simplify_norm_label),
            whole["batch_size"],
            strict=True,
        )
    )
    return [
        item
        for item in list_published_values()
        if tuple(getattr(item, name) for name in names) in cells
    ]


def simplify_norm_label(label: str) -> str:
    """Return a norm's label with only those options that differ from the papers'."""
    name, _, options = label.removesuffix(")").partition("(")
    further = [option for option in options.split(", ") if option and option not in PAPER_OPTIONS]
    return f"{name}({', '.join(further)})" if further else name


def compute_published_gap(
    published: Sequence[PublishedValue], norm: str, reference: str, batch_sizes: Sequence[int]
) -> float | None:
    """Return AUEC of `norm` minus `reference`'s over `batch_sizes` (points), as one table prints
    it.

    None where no table has both norms at every batch size, exactly.
    """
    tables: dict[tuple[str, str], dict[tuple[str, int], float]] = {}
    for item in published:
        if item.measure == "test_error" and not item.is_approximate:
            cell = (item.norm, item.batch_size)
            tables.setdefault((item.paper, item.table), {})[cell] = item.value
    names = (simplify_norm_label(norm), simplify_norm_label(reference))
    for errors in tables.values():
        rows = [[errors.get((name, size), np.nan) for size in batch_sizes] for name in names]
        levels = compute_auec(pd.DataFrame(rows, columns=list(batch_sizes)))
        if batch_sizes and levels.notna().all():
            return float(levels[0] - levels[1])
    return None
