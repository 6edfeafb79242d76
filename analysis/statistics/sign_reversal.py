"""Norms that are better than the reference at one level of a factor and worse at another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from analysis.schema import STRATUM_COLUMNS
from analysis.statistics.at_chance import is_uninformative
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Contrast, Measure
from analysis.statistics.inference.intervals import ALPHA, ROUNDING_TOLERANCE
from analysis.statistics.strata import format_names, parse_levels


@dataclass(frozen=True)
class SignReversal:
    """A norm whose difference from the reference has both signs over the levels of `factor`.

    `contrasts` holds each level and the difference in AUEC at it, in the report's order. `data`
    names the data set and network.
    """

    norm: str
    reference: str
    factor: str
    data: str
    contrasts: tuple[tuple[str, Contrast], ...]

    @property
    def is_significant(self) -> bool:
        """Whether both signs are significant, after Holm over the whole report."""
        signs = {np.sign(g.value) for _, g in self.contrasts if g.is_significant}
        return len(signs) == 2


def find_sign_reversals(comparisons: Sequence[Comparison]) -> tuple[SignReversal, ...]:
    """Return the sign reversals of every norm, data set and network.

    A norm is left out if each of its differences was tested and none is significant: signs of noise
    differ as often as not.
    """
    result = []
    seedings = {item.seeding for item in comparisons}
    for names, members in groupby(comparisons, key=_get_data):
        group = list(members)
        factors = _list_varying_factors(group)
        for norm in dict.fromkeys(norm for item in group for norm in item.distinct_norms[1:]):
            gaps = tuple(
                (_describe_level(item, factors), gap)
                for item in group
                for gap in item.get_declared_contrasts(Measure.LEVEL)
                if gap.norm == norm and not is_uninformative(item, norm)
            )
            if _is_reversed([gap for _, gap in gaps]):
                data = format_names(names, with_seeding=len(seedings) > 1)
                result.append(
                    SignReversal(norm, group[0].reference, " and ".join(factors), data, gaps)
                )
    return tuple(result)


def _is_reversed(contrasts: Sequence[Contrast]) -> bool:
    """Return whether differences of both signs occur, and at least one is significant or untested.

    A contrast without a p, of fewer than three seeds, may be of either sign.
    """
    values = [gap.value for gap in contrasts]
    has_both_signs = any(v > ROUNDING_TOLERANCE for v in values) and any(
        v < -ROUNDING_TOLERANCE for v in values
    )
    return has_both_signs and any(not gap.p_adjusted >= ALPHA for gap in contrasts)


def _get_data(comparison: Comparison) -> tuple[str, ...]:
    """Return the data set, preset, network and seeding of a comparison."""
    first = comparison.trials.iloc[0]
    return tuple(str(first[name]) for name in STRATUM_COLUMNS if name != "variant")


def _list_varying_factors(comparisons: Sequence[Comparison]) -> list[str]:
    """Return the factors whose level differs between the comparisons.

    The factor without a name, the variant as a whole, where a level that varies has no name.
    """
    levels = [parse_levels(_get_variant(item)) for item in comparisons]
    names = dict.fromkeys(name for item in levels for name in item)
    varying = [name for name in names if len({item.get(name) for item in levels}) > 1]
    return [""] if "" in varying else varying


def _describe_level(comparison: Comparison, factors: Sequence[str]) -> str:
    """Return the levels of `factors` in a comparison, for a sentence."""
    if list(factors) == [""]:
        return _get_variant(comparison) or "no level"
    levels = parse_levels(_get_variant(comparison))
    if len(factors) == 1:
        return levels.get(factors[0]) or "no level"
    return ", ".join(f"{name}={levels.get(name, '')}" for name in factors)


def _get_variant(comparison: Comparison) -> str:
    """Return the variant of a comparison."""
    return str(comparison.trials["variant"].iloc[0])
