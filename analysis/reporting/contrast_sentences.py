"""Sentences on the declared contrasts: level and robustness of each norm against the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.findings import Findings
from analysis.formatting import (
    choose_digits,
    format_contrast_interval,
    format_count,
    format_number,
    format_points,
    format_signed,
    join_words,
)
from analysis.reporting.chance_warnings import are_all_at_chance
from analysis.reporting.failure_rate_table import describe_failure_contrast
from analysis.reporting.single_norm import describe_single_norm
from analysis.reporting.unpaired_comparison import describe_incomplete_norm, describe_unpaired
from analysis.statistics.at_chance import list_norms_at_chance
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Contrast, Measure, Verdict
from analysis.statistics.inference.intervals import ALPHA, MIN_SEEDS, ROUNDING_TOLERANCE
from analysis.statistics.inference.power import estimate_detectable_difference

MAX_NORMS_ONE_BY_ONE = 4
"""Norms with sentences each; more are described in groups."""
MAX_NORMS_NAMED = 3
"""Norms named per group, at most; the tables have all."""

_NOUNS = {Measure.LEVEL: ("error", "errors"), Measure.ROBUSTNESS: ("rise", "rises")}


def describe_declared_contrasts(
    findings: Findings, one_by_one: int = MAX_NORMS_ONE_BY_ONE
) -> list[str]:
    """Return sentences on each norm's level and robustness against the reference.

    More norms than `one_by_one` are described in groups.
    """
    comparison = findings.comparison
    if are_all_at_chance(findings):
        return []
    if len(comparison.distinct_norms) == 1:
        return describe_single_norm(comparison)
    if not comparison.common_batch_sizes:
        return ["There is nothing to compare: no batch size in common."]
    scope = _describe_scope(comparison)
    nothing = list_norms_at_chance(comparison)
    norms = [
        norm
        for norm in comparison.distinct_norms[1:]
        if not {norm, comparison.reference} <= set(nothing)
    ]
    if comparison.is_unpaired:
        known = [gap.norm for gap in comparison.declared_contrasts if not np.isnan(gap.value)]
        texts = [_describe_norm(findings, norm) for norm in norms if norm in known]
        return [*describe_unpaired(comparison, scope), *texts]
    # Where some seeds learn and others do not, a mean is between two heaps and says little.
    by_rate = {norm: describe_failure_contrast(findings, norm) for norm in norms}
    rates = [text for text in by_rate.values() if text]
    norms = [norm for norm in norms if not by_rate[norm]]
    if len(norms) > one_by_one:
        return [*_group_norms(findings, norms, scope), *rates]
    texts = [_describe_norm(findings, norm) for norm in norms]
    return [*([f"{scope}, {texts[0]}"] if texts else []), *texts[1:], *rates]


def _describe_scope(comparison: Comparison) -> str:
    """Return the beginning of a sentence on levels: the batch sizes that it holds for."""
    sizes = comparison.common_batch_sizes
    if len(sizes) == 1:
        return f"At batch size {sizes[0]}"
    return f"Averaged over batch sizes {sizes[0]} to {sizes[-1]} (AUEC)"


def _describe_norm(findings: Findings, norm: str) -> str:
    """Return the sentences on one norm: its level, then its robustness."""
    gaps = [gap for gap in findings.comparison.declared_contrasts if gap.norm == norm]
    texts = [
        _describe_level(findings, gap)
        if gap.measure is Measure.LEVEL
        else _describe_robustness(findings, gap)
        for gap in gaps
    ]
    return " ".join(text for text in texts if text)


def _describe_level(findings: Findings, contrast: Contrast) -> str:
    """Return sentences on a norm's level against the reference's."""
    comparison = findings.comparison
    norm, reference = contrast.norm, comparison.reference
    if np.isnan(contrast.value) and not len(comparison.auec[norm]):
        return f"{describe_incomplete_norm(comparison, norm)}."
    if np.isnan(contrast.value):
        return f"{norm} and {reference} have no seed in common yet."
    size = f"{norm}'s error equals {reference}'s"
    if abs(contrast.value) > ROUNDING_TOLERANCE:
        side = "higher" if contrast.value > 0 else "lower"
        points = format_number(abs(contrast.value), choose_digits(contrast))
        size = f"{norm}'s error is {points} points {side} than {reference}'s"
    if np.isnan(contrast.half_width):
        return f"{size} ({_explain_no_test(contrast)})."
    shown = format_contrast_interval(contrast)
    if contrast.is_significant:
        within = (
            f", though within ±{findings.margin:g} points" if findings.is_within(contrast) else ""
        )
        return f"{size}{within} ({shown})."
    value = format_signed(contrast.value, choose_digits(contrast))
    if norm in findings.crossings:
        return f"{norm}'s lower and higher errors average out to {value} points ({shown})."
    return (
        f"{norm} and {reference} are not distinguishable with {format_count(contrast.num, 'seed')}:"
        f" the difference is {value} points ({shown}). {_describe_found_difference(contrast)}"
        f"{_describe_equivalence(findings, contrast)}"
    )


def _explain_no_test(contrast: Contrast) -> str:
    """Return a clause on why a contrast has no test."""
    if contrast.num >= MIN_SEEDS:
        return "the same in every seed, so there is no interval and no test"
    return f"over {format_count(contrast.num, 'seed')}, too few for an interval"


def _describe_found_difference(contrast: Contrast) -> str:
    """Return a sentence on the difference that the seeds find, at the first level of Holm."""
    found = estimate_detectable_difference(contrast.estimate, alpha=ALPHA / contrast.family_size)
    return (
        f"A difference of {format_points(found.value)} points (95 % interval "
        f"{format_points(found.low)} to {format_points(found.high)}, as the spread is itself "
        "estimated) would be found four times in "
        f"five by {format_count(contrast.num, 'seed')}."
    )


def _describe_equivalence(findings: Findings, contrast: Contrast) -> str:
    """Return a sentence on the equivalence of two levels that are not distinguishable."""
    margin = f"±{findings.margin:g} points"
    if findings.is_equivalent(contrast):
        return f" The two are equivalent within {margin}."
    if findings.is_uninformative(contrast):
        return ""
    return f" Nor are they shown to be equivalent within {margin}."


def _describe_robustness(findings: Findings, contrast: Contrast) -> str:
    """Return a sentence on a norm's rise against the reference's; empty where untested."""
    if np.isnan(contrast.half_width):
        return ""
    sizes = findings.comparison.common_batch_sizes
    norm, reference = contrast.norm, findings.comparison.reference
    shown = format_contrast_interval(contrast)
    scope = f"from batch size {sizes[0]} to {sizes[-1]}"
    verdict = findings.decide(contrast)
    if verdict in (Verdict.BETTER, Verdict.WORSE):
        more = "more" if verdict is Verdict.WORSE else "less"
        points = format_number(abs(contrast.value), choose_digits(contrast))
        within = f", though by at most {findings.margin:g}" if findings.is_within(contrast) else ""
        return (
            f"{scope.capitalize()}, {norm}'s error rises {points} points {more} than {reference}'s"
            f"{within} ({shown})."
        )
    value = format_signed(contrast.value, choose_digits(contrast))
    if verdict is Verdict.EQUIVALENT:
        return (
            f"{norm} is as robust as {reference}: their rises {scope} differ by less than "
            f"{findings.margin:g} points ({value}; {shown})."
        )
    return (
        f"The rises of both {scope} are neither distinguishable nor shown to be equal within "
        f"±{findings.margin:g} points: {value} points ({shown})."
    )


def _group_norms(findings: Findings, norms: Sequence[str], scope: str) -> list[str]:
    """Return a paragraph on the groups of norms by level, and one on those by rise."""
    comparison = findings.comparison
    sizes = comparison.common_batch_sizes
    levels = [g for g in comparison.get_declared_contrasts(Measure.LEVEL) if g.norm in norms]
    rises = [
        g
        for g in comparison.get_declared_contrasts(Measure.ROBUSTNESS)
        if g.norm in norms and not np.isnan(g.half_width)
    ]
    paragraphs = (
        _group_contrasts(findings, levels, scope),
        _group_contrasts(findings, rises, f"From batch size {sizes[0]} to {sizes[-1]}"),
    )
    return [" ".join(lines) for lines in paragraphs if lines]


def _group_contrasts(findings: Findings, contrasts: Sequence[Contrast], scope: str) -> list[str]:
    """Return a sentence per group of contrasts of one measure.

    Groups are worse, better, not distinguishable, crossing and not tested. Of each the
    `MAX_NORMS_NAMED` furthest from the reference are named; the table of gaps has all.
    """
    contrasts = sorted(contrasts, key=lambda gap: -abs(gap.value))
    name = findings.comparison.reference
    told = [(verb, members) for verb, members in _split_by_verdict(findings, contrasts) if members]
    lines = []
    for place, (verb, members) in enumerate(told):
        plural = len(members) > 1
        noun = _NOUNS[members[0].measure][plural]
        lines.append(
            f"{'The' if place else f'{scope}, the'} {noun} of "
            f"{join_words([_format_size(gap) for gap in members], MAX_NORMS_NAMED)} "
            f"{'are' if plural else 'is'} "
            f"{verb} {name}'s{_explain_numbers(members[0], told_before=place > 0)}."
        )
    same = [gap for gap in contrasts if findings.decide(gap) is Verdict.EQUIVALENT]
    if same:
        begin = "As robust as" if same[0].measure is Measure.ROBUSTNESS else "Equivalent to"
        lines.append(
            f"{begin} {name} within ±{findings.margin:g} points: "
            f"{join_words([gap.norm for gap in same], MAX_NORMS_ONE_BY_ONE)}."
        )
    return lines


def _split_by_verdict(
    findings: Findings, contrasts: Sequence[Contrast]
) -> list[tuple[str, list[Contrast]]]:
    """Return the groups of contrasts of one measure, each with the verb of its sentence."""
    crossing = [
        gap
        for gap in contrasts
        if gap.measure is Measure.LEVEL
        and gap.norm in findings.crossings
        and not gap.is_significant
    ]
    open_ones = [g for g in contrasts if g.p_adjusted >= ALPHA and g not in crossing]
    return [
        ("higher than", [g for g in contrasts if g.is_significant and g.value > 0]),
        ("lower than", [g for g in contrasts if g.is_significant and g.value < 0]),
        ("lower at some and higher at other batch sizes than", crossing),
        ("not distinguishable from", open_ones),
        ("not to be tested against", [g for g in contrasts if not g.is_tested]),
    ]


def _explain_numbers(contrast: Contrast, *, told_before: bool) -> str:
    """Return the explanation of the numbers after the norms' names."""
    if not contrast.is_tested:
        return " (points; too few seeds in common, or the same difference in every seed)"
    if told_before:
        return ""
    return (
        " (points ± half the simultaneous 95 % interval, which agrees with Holm's verdict over all "
        f"{contrast.family_size})"
    )


def _format_size(contrast: Contrast) -> str:
    """Return a norm's name with its difference and half-width."""
    digits = choose_digits(contrast)
    half = (
        "" if np.isnan(contrast.half_width) else f" ± {format_number(contrast.half_width, digits)}"
    )
    return f"{contrast.norm} ({format_signed(contrast.value, digits)}{half})"
