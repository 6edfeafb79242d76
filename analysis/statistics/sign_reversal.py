"""Norms that are better than the reference at one level of a factor and worse at another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from analysis.schema import STRATUM
from analysis.statistics.at_chance import tells_nothing
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Gap
from analysis.statistics.inference.intervals import ALPHA, SAME
from analysis.statistics.strata import levels_of


@dataclass(frozen=True)
class Turn:
    """A norm whose difference from the reference has both signs over the levels of `factor`.

    `gaps` holds the level and the difference in AUEC at it, in the report's order. `data` names
    the data set and network.
    """

    norm: str
    reference: str
    factor: str
    data: str
    gaps: tuple[tuple[str, Gap], ...]

    @property
    def is_shown(self) -> bool:
        """Whether both signs are distinguishable from 0, after Holm over the whole report."""
        signs = {np.sign(g.difference.paired.value) for _, g in self.gaps if g.distinguishable}
        return len(signs) == 2


def turns(found: Sequence[Comparison]) -> tuple[Turn, ...]:
    """Every such norm of every data set and network, where the seeds do not make it mere noise.

    Left out is a norm of which every difference was tested and none is distinguishable from 0: of
    such noise, signs differ as often as not.
    """
    result = []
    for names, members in groupby(found, key=_data):
        group = list(members)
        factors = _varying(group)
        for norm in dict.fromkeys(norm for item in group for norm in item.distinct[1:]):
            gaps = tuple(
                (_level(item, factors), gap)
                for item in group
                for gap in item.primary
                if gap.norm == norm and not tells_nothing(item, norm)
            )
            if _turns([gap for _, gap in gaps]):
                data = ", ".join(filter(None, names))
                result.append(Turn(norm, group[0].reference, " and ".join(factors), data, gaps))
    return tuple(result)


def _turns(gaps: Sequence[Gap]) -> bool:
    values = [gap.difference.paired.value for gap in gaps]
    has_both_signs = any(v > SAME for v in values) and any(v < -SAME for v in values)
    return has_both_signs and any(not gap.p_adjusted >= ALPHA for gap in gaps)


def _data(comparison: Comparison) -> tuple[str, ...]:
    first = comparison.trials.iloc[0]
    return tuple(str(first[name]) for name in STRATUM if name != "variant")


def _varying(group: Sequence[Comparison]) -> list[str]:
    """The factors whose level is not the same in all of the comparisons.

    One factor without a name, the variant as a whole, where a level that varies has no name.
    """
    levels = [levels_of(_variant(item)) for item in group]
    names = dict.fromkeys(name for item in levels for name in item)
    varying = [name for name in names if len({item.get(name) for item in levels}) > 1]
    return [""] if "" in varying else varying


def _level(comparison: Comparison, factors: Sequence[str]) -> str:
    if list(factors) == [""]:
        return _variant(comparison) or "no level"
    levels = levels_of(_variant(comparison))
    if len(factors) == 1:
        return levels.get(factors[0]) or "no level"
    return ", ".join(f"{name}={levels.get(name, '')}" for name in factors)


def _variant(comparison: Comparison) -> str:
    return str(comparison.trials["variant"].iloc[0])
