"""Norms ranked over many data sets and networks: Friedman's test, then Wilcoxon with Holm.

A block is a (data set, network) pair. Demsar (2006) describes the procedure and the diagram;
Benavoli et al. (2016) why the pairs are compared by Wilcoxon's test rather than by mean ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd

from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import adjust_holm
from analysis.statistics.inference.intervals import ALPHA

MIN_BLOCKS = 6
"""With fewer, Wilcoxon's test cannot fall below 5 % whatever the errors are."""


@dataclass(frozen=True)
class Ranks:
    """Mean rank of each norm over blocks, with Friedman's test.

    Attributes: mean: mean rank by norm (1 is the lowest error), best first. p: Friedman's p.
    groups: the longest runs of norms that are not separated from one another. num_blocks: number of
    (data set, network) pairs.
    """

    mean: dict[str, float]
    p: float
    groups: tuple[tuple[str, ...], ...]
    num_blocks: int

    @property
    def smallest_p(self) -> float:
        """The smallest adjusted p that this many norms and blocks can give.

        Wilcoxon's exact two-sided p where all differences have one sign, the first of Holm's.
        """
        return min(1.0, comb(len(self.mean), 2) * 2.0 ** (1 - self.num_blocks))


def rank_norms(comparisons: Sequence[Comparison]) -> Ranks | None:
    """Return ranks by mean AUEC; None with fewer than `MIN_BLOCKS` blocks or three norms.

    Norms without an AUEC in some block are left out; the variants of one data set and network are
    one block, their mean.
    """
    table = tabulate_blocks(comparisons).dropna(axis=1)
    if len(table) < MIN_BLOCKS or table.shape[1] < 3:
        return None
    from scipy import stats

    table = table.round(9)  # equal but for rounding is a tie
    means = table.rank(axis=1).mean().sort_values(kind="stable")
    names = [str(name) for name in means.index]
    p = float(stats.friedmanchisquare(*(table[name] for name in names)).pvalue)
    pairs = list(combinations(names, 2))
    differences = [(table[a] - table[b]).to_numpy(float) for a, b in pairs]
    raw = [float(stats.wilcoxon(d).pvalue) if np.any(d) else 1.0 for d in differences]
    apart = {
        pair for pair, q in zip(pairs, adjust_holm(raw), strict=True) if p < ALPHA and q < ALPHA
    }
    mean = {name: float(means[name]) for name in names}
    return Ranks(mean, p, _find_groups(names, apart), len(table))


def tabulate_blocks(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return mean AUEC (percent), a row per data set and network, a column per norm."""
    rows = []
    for item in comparisons:
        first = item.trials.iloc[0]
        block = " ".join(filter(None, (first["dataset"], first["edition"], first["model"])))
        levels = {norm: values.mean() for norm, values in item.auec.items() if len(values)}
        rows.append(pd.Series(levels, name=block, dtype=float))
    return pd.DataFrame(rows).groupby(level=0, sort=True).mean()


def _find_groups(
    names: Sequence[str], separated: set[tuple[str, str]]
) -> tuple[tuple[str, ...], ...]:
    """Return the longest runs in `names` without a separated pair; single norms are left out."""
    found: list[tuple[int, int]] = []
    for start in range(len(names)):
        end = start + 1
        while end < len(names) and not any((n, names[end]) in separated for n in names[start:end]):
            end += 1
        if end - start > 1 and not any(a <= start and end <= b for a, b in found):
            found.append((start, end))
    return tuple(tuple(names[start:end]) for start, end in found)
