"""That trials ran different sources of the user's own modules: which cells ran which."""

from __future__ import annotations

import pandas as pd

from analysis.formatting import counted, listed, spans
from analysis.statistics.comparison import Comparison

SHORT = 8
"""Digits of a digest that are shown."""
MOST = 6
"""Cells of one source that are named."""


def unlike_sources(comparison: Comparison) -> list[str]:
    """A line for each set of own modules of which not all trials ran the same source.

    A layer, model or data set of the user's own has a colon in its name. Norms of different
    modules have different sources, so only trials of the same modules are held together.
    """
    trials = comparison.trials[comparison.trials["source_digest"] != ""]
    if trials.empty:
        return []
    lines = []
    for own, rows in trials.groupby(_own(trials), sort=False):
        by_source = rows.groupby("source_digest", sort=False)
        if own and by_source.ngroups > 1:
            parts = [f"{str(digest)[:SHORT]} by {_cells(part)}" for digest, part in by_source]
            lines.append(
                f"Not trained from one source: {own} was changed between runs. Its source was "
                f"{'; '.join(parts)}. Differences may come of that."
            )
    return lines


def _own(trials: pd.DataFrame) -> pd.Series[str]:
    """Per trial the names of what is the user's own in it, in words; empty for the library's."""
    names = [trials["norm"].str.partition("(")[0], trials["model"], trials["dataset"]]
    rows = zip(*names, strict=True)
    own = [listed(found) if (found := [n for n in row if ":" in n]) else "" for row in rows]
    return pd.Series(own, index=trials.index, dtype=str)


def _cells(rows: pd.DataFrame) -> str:
    """`mine:Norm at batch size 64 (seeds 0 to 2)`, for each cell of the trials."""
    parts = [
        f"{norm} at batch size {size} (seed{'s'[: len(part) > 1]} "
        f"{listed(spans([int(seed) for seed in part['seed']]))})"
        for (norm, size), part in rows.groupby(["norm", "batch_size"], sort=False)
    ]
    return f"{counted(len(rows), 'trial')}: {listed(parts, MOST)}"
