"""Sentences on custom modules whose source changed between trials."""

from __future__ import annotations

import pandas as pd

from analysis.formatting import format_count, format_ranges, join_words
from analysis.statistics.comparison import Comparison

DIGEST_DIGITS = 8
"""Digits printed of a digest."""
MAX_CELLS_NAMED = 6
"""Cells named per source, at most."""


def describe_source_changes(comparison: Comparison) -> list[str]:
    """Return a line for each set of custom modules of which not all trials ran the same source.

    A custom layer, model or data set has a colon in its name. Norms of different modules have
    different sources, so only trials of the same modules are compared.
    """
    trials = comparison.trials[comparison.trials["source_digest"] != ""]
    if trials.empty:
        return []
    lines = []
    for own, rows in trials.groupby(_name_custom_modules(trials), sort=False):
        by_source = rows.groupby("source_digest", sort=False)
        if own and by_source.ngroups > 1:
            parts = [
                f"{str(digest)[:DIGEST_DIGITS]} by {_describe_cells(part)}"
                for digest, part in by_source
            ]
            lines.append(
                f"Not trained from one source: {own} was changed between runs. Its source was "
                f"{'; '.join(parts)}. Differences may come of that."
            )
    return lines


def _name_custom_modules(trials: pd.DataFrame) -> pd.Series[str]:
    """Return per trial the names of its custom modules, in words; empty without any."""
    names = [trials["norm"].str.partition("(")[0], trials["model"], trials["dataset"]]
    rows = zip(*names, strict=True)
    own = [join_words(found) if (found := [n for n in row if ":" in n]) else "" for row in rows]
    return pd.Series(own, index=trials.index, dtype=str)


def _describe_cells(rows: pd.DataFrame) -> str:
    """Return `mine:Norm at batch size 64 (seeds 0 to 2)`, for each cell of the trials."""
    parts = [
        f"{norm} at batch size {size} (seed{'s'[: len(part) > 1]} "
        f"{join_words(format_ranges([int(seed) for seed in part['seed']]))})"
        for (norm, size), part in rows.groupby(["norm", "batch_size"], sort=False)
    ]
    return f"{format_count(len(rows), 'trial')}: {join_words(parts, MAX_CELLS_NAMED)}"
