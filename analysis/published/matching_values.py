"""Which printed figures belong beside which trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.published.printed_values import Published, figures
from analysis.statistics.robustness import compute_auec

AS_PRINTED = {"num_groups=32", "bias=after", "key_features=group"}
"""Options of the papers' own norms: a label that says them means the same layer."""


def matching(trials: pd.DataFrame) -> list[Published]:
    """Printed figures for the data set, network, norms and batch sizes of `trials`.

    None for trials that saw only a part of the data; a figure of another network says nothing.
    """
    whole = trials[trials["edition"] == ""]
    names = ("dataset", "model", "norm", "batch_size")
    cells = set(
        zip(
            whole["dataset"],
            whole["model"],
            whole["norm"].map(printed_norm),
            whole["batch_size"],
            strict=True,
        )
    )
    return [item for item in figures() if tuple(getattr(item, name) for name in names) in cells]


def printed_norm(label: str) -> str:
    """A norm's label as the papers have it: its name, and options other than their own."""
    name, _, options = label.removesuffix(")").partition("(")
    further = [option for option in options.split(", ") if option and option not in AS_PRINTED]
    return f"{name}({', '.join(further)})" if further else name


def printed_gap(
    published: Sequence[Published], norm: str, reference: str, batch_sizes: Sequence[int]
) -> float | None:
    """AUEC of `norm` minus `reference`'s over `batch_sizes` (points), as one table prints them.

    None where no table has both norms at every one of them, or has them but roughly.
    """
    tables: dict[tuple[str, str], dict[tuple[str, int], float]] = {}
    for item in published:
        if item.measure == "test_error" and not item.about:
            cell = (item.norm, item.batch_size)
            tables.setdefault((item.paper, item.table), {})[cell] = item.value
    names = (printed_norm(norm), printed_norm(reference))
    for errors in tables.values():
        rows = [[errors.get((name, size), np.nan) for size in batch_sizes] for name in names]
        levels = compute_auec(pd.DataFrame(rows, columns=list(batch_sizes)))
        if batch_sizes and levels.notna().all():
            return float(levels[0] - levels[1])
    return None
