"""Seeds that were added to a sweep after its first seeds had ended, as the trials' records tell."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import MIN_SEEDS


@dataclass(frozen=True)
class AddedSeeds:
    """`added` seeds were begun by a later run, after all trials of the `first` ones had ended."""

    first: tuple[int, ...]
    added: tuple[int, ...]


def find_added_seeds(comparison: Comparison) -> AddedSeeds | None:
    """Return the seeds of a comparison that were added after a possible look; None without any.

    For some norm, every trial of the added seeds began after every trial of the first ones had
    ended, under other runs of the program. Fewer than `MIN_SEEDS` first seeds give no p value to
    look at. None where the source does not state which run trained a trial.
    """
    rows = comparison.scored
    rows = rows[(rows["driver"] != "") & (rows["started"] != "") & (rows["ended"] != "")]
    splits = [_find_split(part) for _, part in rows.groupby("norm")]
    found = [split for split in splits if split]
    if not found:
        return None
    first = sorted({seed for split in found for seed in split.first})
    added = sorted({seed for split in found for seed in split.added} - set(first))
    return AddedSeeds(tuple(first), tuple(added)) if added else None


def _find_split(trials: pd.DataFrame) -> AddedSeeds | None:
    """Return the first split of one norm's seeds into earlier ones and ones of later runs."""
    by_seed = trials.groupby("seed").agg(
        started=("started", "min"), ended=("ended", "max"), driver=("driver", " ".join)
    )
    by_seed = by_seed.sort_values("started", kind="stable")
    seeds = [int(seed) for seed in by_seed.index]
    for place in range(MIN_SEEDS, len(seeds)):
        earlier, later = by_seed.iloc[:place], by_seed.iloc[place:]
        runs = [set(" ".join(part["driver"]).split()) for part in (earlier, later)]
        if earlier["ended"].max() <= later["started"].min() and not runs[0] & runs[1]:
            return AddedSeeds(tuple(seeds[:place]), tuple(seeds[place:]))
    return None
