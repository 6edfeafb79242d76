"""The answer in words, made from the numbers and saying nothing stronger than they allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from analysis.findings import Findings, findings_of
from analysis.formatting import (
    counted,
    digits_for,
    equals,
    interval,
    listed,
    number,
    points,
    signed,
)
from analysis.options import Options
from analysis.reporting.best_norm_sentences import by_batch_size, smallest_batch
from analysis.reporting.chance_warnings import at_bounds, no_norm_has_learnt
from analysis.reporting.level_and_rise_sentence import level_and_rise
from analysis.reporting.power_sentences import closest_call
from analysis.reporting.sign_reversal_sentences import depends
from analysis.reporting.single_norm import one_norm
from analysis.reporting.source_changes import unlike_sources
from analysis.reporting.statistics_or_sgd_section import in_words
from analysis.reporting.time_table import without_curves
from analysis.reporting.trial_coverage import coverage
from analysis.reporting.unpaired_comparison import lacking, unpaired
from analysis.schema import Results
from analysis.statistics.at_chance import list_norms_at_chance
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Contrast
from analysis.statistics.inference.intervals import ALPHA, MIN_SEEDS, ROUNDING_TOLERANCE
from analysis.statistics.inference.power import compute_detectable_difference
from analysis.statistics.statistics_or_sgd import separate_harm

MOST_DIVERGED = 6
"""Cells with diverged trials that are named one by one; the table of errors has all."""

MANY = 4
"""Other norms beyond which the declared comparison is told in groups."""


FEW = 3
"""Norms of a group that are named; the tables have all."""


_TWO_HEAPS = (
    " Where only some seeds diverge, errors lie in two heaps: their intervals, and what more seeds "
    "would show, mean little, and the rates of divergence say more."
)


def headline(trials: Results, reference: str | None = None) -> list[str]:
    """Three or four lines of what was found, for a terminal."""
    return summary(findings_of(trials, Options(reference=reference)))


def summary(found: Sequence[Findings]) -> list[str]:
    """The lines of `headline` for findings that are at hand."""
    if len(found) > 1:
        apart = separate_harm([item.comparison for item in found])
        lines = [line for item in apart for line in in_words(item)]
        return [
            *depends(found),
            *lines,
            *(
                f"{item.comparison.label or 'All data'}: {' '.join(_first(item, one_by_one=1))}"
                for item in found
            ),
            *without_curves(found),
        ]
    only = found[0]
    lines = [
        *coverage(only.comparison)[:1],
        *unlike_sources(only.comparison),
        *at_bounds(only)[:1],
        *_primary(only)[:2],
        smallest_batch(only.comparison),
        *without_curves(found),
    ]
    return [line for line in lines if line]


def answer(findings: Findings) -> list[str]:
    """The paragraphs at the top of the report."""
    comparison = findings.comparison
    return [
        *unlike_sources(comparison),
        *at_bounds(findings),
        *_same(comparison),
        *_primary(findings),
        *closest_call(findings),
        *by_batch_size(comparison),
        *level_and_rise(findings),
        *_diverged(comparison),
    ]


def _first(findings: Findings, one_by_one: int) -> list[str]:
    """What a line for each comparison has room for: what is at a bound, and what is declared."""
    return [
        *unlike_sources(findings.comparison),
        *at_bounds(findings)[:1],
        *_primary(findings, one_by_one),
    ]


def _same(comparison: Comparison) -> list[str]:
    """Norms that are one network are said to be, and not compared."""
    return [
        f"{listed(group)} are the same network here: seed by seed their weights end equal to the "
        "bit. They are compared with the others once, and not with each other."
        for group in comparison.identical_networks
    ]


def _primary(findings: Findings, one_by_one: int = MANY) -> list[str]:
    """The declared comparison: AUEC of each norm against the reference's.

    More norms than `one_by_one` are told in groups.
    """
    comparison = findings.comparison
    sizes = comparison.common_batch_sizes
    if no_norm_has_learnt(findings):
        return []
    if len(comparison.distinct_norms) == 1:
        return one_norm(comparison)
    if not sizes:
        return ["There is nothing to compare: no batch size in common."]
    where = (
        f"Averaged over batch sizes {sizes[0]} to {sizes[-1]} (AUEC)"
        if len(sizes) > 1
        else f"At batch size {sizes[0]}"
    )
    if comparison.is_unpaired:
        return unpaired(comparison, where)
    nothing = list_norms_at_chance(comparison)
    gaps = [
        g
        for g in comparison.declared_contrasts
        if not {g.norm, comparison.reference} <= set(nothing)
    ]
    if len(gaps) > one_by_one:
        return _grouped(findings, gaps, where)
    texts = [_gap(gap, comparison) + _equivalence(findings, gap) for gap in gaps]
    return [f"{where}, {texts[0]}", *texts[1:]]


def _grouped(findings: Findings, gaps: Sequence[Contrast], where: str) -> list[str]:
    """Many norms against the reference in three sentences: worse, better, and undecided.

    Of each group the `FEW` furthest from the reference are named; the table of gaps has all.
    """
    gaps = sorted(gaps, key=lambda gap: -abs(gap.difference.paired.value))
    name = findings.comparison.reference
    apart = [gap for gap in gaps if gap.is_significant]
    groups = (
        ("higher than", [gap for gap in apart if gap.difference.paired.value > 0]),
        ("lower than", [gap for gap in apart if gap.difference.paired.value < 0]),
        ("not distinguishable from", [gap for gap in gaps if gap.p_adjusted >= ALPHA]),
        ("not to be tested against", [gap for gap in gaps if np.isnan(gap.p_adjusted)]),
    )
    told = [(verb, members) for verb, members in groups if members]
    lines = [
        f"{'The' if place else f'{where}, the'} {'error' if len(members) == 1 else 'errors'} of "
        f"{listed([_size(gap) for gap in members], FEW)} {'is' if len(members) == 1 else 'are'} "
        f"{verb} {name}'s{_how(members[0], told_before=place > 0)}."
        for place, (verb, members) in enumerate(told)
    ]
    same = [gap.norm for gap in gaps if findings.is_equivalent(gap)]
    if same:
        margin = f"{findings.margin:g}"
        lines.append(f"Equivalent to {name} within ±{margin} points: {listed(same, MANY)}.")
    return lines


def _how(gap: Contrast, *, told_before: bool) -> str:
    """What the numbers after the norms' names are, and whose the verdict is."""
    if np.isnan(gap.p_adjusted):
        return " (points; too few seeds in common, or the same difference in every seed)"
    if told_before:
        return ""
    return (
        " (points ± half the 95 % interval of each comparison by itself; the verdict is Holm's "
        f"over all {gap.family_size})"
    )


def _size(gap: Contrast) -> str:
    paired = gap.difference.paired
    digits = digits_for(paired)
    half = "" if np.isnan(paired.half_width) else f" ± {number(paired.half_width, digits)}"
    return f"{gap.norm} ({signed(paired.value, digits)}{half})"


def _gap(gap: Contrast, comparison: Comparison) -> str:
    paired, reference = gap.difference.paired, comparison.reference
    if np.isnan(paired.value) and not len(comparison.auec[gap.norm]):
        return f"{lacking(comparison, gap.norm)}."
    if np.isnan(paired.value):
        return f"{gap.norm} and {reference} have no seed in common yet."
    size = f"{gap.norm}'s error equals {reference}'s"
    if abs(paired.value) > ROUNDING_TOLERANCE:
        side = "higher" if paired.value > 0 else "lower"
        points = number(abs(paired.value), digits_for(paired))
        size = f"{gap.norm}'s error is {points} points {side} than {reference}'s"
    if np.isnan(paired.half_width):
        why = (
            "the same in every seed, so there is no interval and no test"
            if paired.num >= MIN_SEEDS
            else f"over {counted(paired.num, 'seed')}, too few for an interval"
        )
        return f"{size} ({why})."
    if gap.is_significant:
        return f"{size} ({interval(gap)})."
    return (
        f"{gap.norm} and {reference} are not distinguishable with {counted(paired.num, 'seed')}: "
        f"the difference is {signed(paired.value, digits_for(paired))} points ({interval(gap)}). "
        f"{_found(gap)}"
    )


def _found(gap: Contrast) -> str:
    """What so many seeds find, at the level that Holm asks of the first of a family."""
    paired = gap.difference.paired
    detectable = (
        compute_detectable_difference(paired.num, alpha=ALPHA / gap.family_size) * paired.sd
    )
    return (
        f"A difference of {points(detectable)} points would be found four times in five by "
        f"{counted(paired.num, 'seed')}."
    )


def _equivalence(findings: Findings, gap: Contrast) -> str:
    """Whether the two may be called equally robust; silence where nothing was tested."""
    p = findings.equivalent[gap.norm]
    if np.isnan(p):
        return ""
    margin = f"±{findings.margin:g} points"
    if findings.is_equivalent(gap):
        return f" The two are equivalent within {margin} (p {equals(p)})."
    if gap.is_significant:
        return ""
    return f" Nor are they shown to be equivalent within {margin}."


def _diverged(comparison: Comparison) -> list[str]:
    counts = Counter(
        {(c.norm, c.batch_size): len(c.diverged) for c in comparison.cells.values() if c.diverged}
    )
    if not counts:
        return []
    survived = any(count < len(comparison.cells[key].ended) for key, count in counts.items())
    parts = [
        f"{norm} at batch size {size} ({count} of {len(comparison.cells[norm, size].ended)})"
        for (norm, size), count in counts.items()
    ]
    return [
        f"Diverged: {listed(parts, MOST_DIVERGED)}. A diverged trial counts at the error of "
        "guessing"
        + ("; the mean over the survivors stands beside it in the table." if survived else ".")
        + (_TWO_HEAPS if any(comparison.diverges_in_part(norm) for norm, _ in counts) else "")
    ]
