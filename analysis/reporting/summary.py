"""The report's first paragraphs and the lines for a terminal, made from the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from analysis.findings import Findings, compute_findings
from analysis.formatting import (
    choose_digits,
    format_contrast_interval,
    format_count,
    format_number,
    format_p_relation,
    format_points,
    format_signed,
    join_words,
)
from analysis.options import ReportOptions
from analysis.reporting.best_norm_sentences import describe_best_norms, describe_smallest_batch
from analysis.reporting.chance_warnings import are_all_at_chance, describe_bounds
from analysis.reporting.level_and_rise_sentence import describe_level_and_rise
from analysis.reporting.power_sentences import describe_closest_call
from analysis.reporting.sign_reversal_sentences import describe_sign_reversals
from analysis.reporting.single_norm import describe_single_norm
from analysis.reporting.source_changes import describe_source_changes
from analysis.reporting.statistics_or_sgd_section import describe_harm
from analysis.reporting.time_table import describe_missing_curves
from analysis.reporting.trial_coverage import describe_coverage
from analysis.reporting.unpaired_comparison import describe_incomplete_norm, describe_unpaired
from analysis.schema import Results
from analysis.statistics.at_chance import list_norms_at_chance
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Contrast
from analysis.statistics.inference.intervals import ALPHA, MIN_SEEDS, ROUNDING_TOLERANCE
from analysis.statistics.inference.power import compute_detectable_difference
from analysis.statistics.statistics_or_sgd import separate_harm

MAX_DIVERGED_NAMED = 6
"""Cells with diverged trials that are named, at most; the table of errors has all."""

MAX_NORMS_ONE_BY_ONE = 4
"""Norms with a sentence each; more are described in groups."""


MAX_NORMS_NAMED = 3
"""Norms named per group, at most; the tables have all."""


_BIMODAL_NOTE = (
    " Where only some seeds diverge, errors lie in two heaps: their intervals, and what more seeds "
    "would show, mean little, and the rates of divergence say more."
)


def summarize_results(results: Results, reference: str | None = None) -> list[str]:
    """Return three or four lines of what was found, for a terminal."""
    return summarize_findings(compute_findings(results, ReportOptions(reference=reference)))


def summarize_findings(all_findings: Sequence[Findings]) -> list[str]:
    """Return three or four lines on findings, for a terminal."""
    if len(all_findings) > 1:
        apart = separate_harm([item.comparison for item in all_findings])
        lines = [line for item in apart for line in describe_harm(item)]
        return [
            *describe_sign_reversals(all_findings),
            *lines,
            *(
                f"{item.comparison.label or 'All data'}: "
                f"{' '.join(_write_short_answer(item, one_by_one=1))}"
                for item in all_findings
            ),
            *describe_missing_curves(all_findings),
        ]
    only = all_findings[0]
    lines = [
        *describe_coverage(only.comparison)[:1],
        *describe_source_changes(only.comparison),
        *describe_bounds(only)[:1],
        *_describe_declared_contrasts(only)[:2],
        describe_smallest_batch(only.comparison),
        *describe_missing_curves(all_findings),
    ]
    return [line for line in lines if line]


def write_answer(findings: Findings) -> list[str]:
    """Return the paragraphs at the top of a comparison's section."""
    comparison = findings.comparison
    return [
        *describe_source_changes(comparison),
        *describe_bounds(findings),
        *_describe_identical_networks(comparison),
        *_describe_declared_contrasts(findings),
        *describe_closest_call(findings),
        *describe_best_norms(comparison),
        *describe_level_and_rise(findings),
        *_describe_diverged_cells(comparison),
    ]


def _write_short_answer(findings: Findings, one_by_one: int) -> list[str]:
    """Return the sentences for one of several comparisons: norms at bounds, declared contrasts."""
    return [
        *describe_source_changes(findings.comparison),
        *describe_bounds(findings)[:1],
        *_describe_declared_contrasts(findings, one_by_one),
    ]


def _describe_identical_networks(comparison: Comparison) -> list[str]:
    """Return sentences on norms that are one network."""
    return [
        f"{join_words(group)} are the same network here: seed by seed their weights end "
        "equal to the "
        "bit. They are compared with the others once, and not with each other."
        for group in comparison.identical_networks
    ]


def _describe_declared_contrasts(
    findings: Findings, one_by_one: int = MAX_NORMS_ONE_BY_ONE
) -> list[str]:
    """Return sentences on each norm's AUEC against the reference's.

    More norms than `one_by_one` are described in groups.
    """
    comparison = findings.comparison
    sizes = comparison.common_batch_sizes
    if are_all_at_chance(findings):
        return []
    if len(comparison.distinct_norms) == 1:
        return describe_single_norm(comparison)
    if not sizes:
        return ["There is nothing to compare: no batch size in common."]
    where = (
        f"Averaged over batch sizes {sizes[0]} to {sizes[-1]} (AUEC)"
        if len(sizes) > 1
        else f"At batch size {sizes[0]}"
    )
    if comparison.is_unpaired:
        return describe_unpaired(comparison, where)
    nothing = list_norms_at_chance(comparison)
    gaps = [
        g
        for g in comparison.declared_contrasts
        if not {g.norm, comparison.reference} <= set(nothing)
    ]
    if len(gaps) > one_by_one:
        return _group_contrasts(findings, gaps, where)
    texts = [
        _describe_contrast(gap, comparison) + _describe_equivalence(findings, gap) for gap in gaps
    ]
    return [f"{where}, {texts[0]}", *texts[1:]]


def _group_contrasts(findings: Findings, contrasts: Sequence[Contrast], scope: str) -> list[str]:
    """Return a sentence per group of norms: worse, better, not significant, and not tested.

    Of each group the `MAX_NORMS_NAMED` furthest from the reference are named; the table of gaps has
    all.
    """
    contrasts = sorted(contrasts, key=lambda gap: -abs(gap.difference.paired.value))
    name = findings.comparison.reference
    apart = [gap for gap in contrasts if gap.is_significant]
    groups = (
        ("higher than", [gap for gap in apart if gap.difference.paired.value > 0]),
        ("lower than", [gap for gap in apart if gap.difference.paired.value < 0]),
        ("not distinguishable from", [gap for gap in contrasts if gap.p_adjusted >= ALPHA]),
        ("not to be tested against", [gap for gap in contrasts if np.isnan(gap.p_adjusted)]),
    )
    told = [(verb, members) for verb, members in groups if members]
    lines = [
        f"{'The' if place else f'{scope}, the'} {'error' if len(members) == 1 else 'errors'} of "
        f"{join_words([_format_size(gap) for gap in members], MAX_NORMS_NAMED)} "
        f"{'is' if len(members) == 1 else 'are'} "
        f"{verb} {name}'s{_explain_numbers(members[0], told_before=place > 0)}."
        for place, (verb, members) in enumerate(told)
    ]
    same = [gap.norm for gap in contrasts if findings.is_equivalent(gap)]
    if same:
        margin = f"{findings.margin:g}"
        lines.append(
            f"Equivalent to {name} within ±{margin} points: "
            f"{join_words(same, MAX_NORMS_ONE_BY_ONE)}."
        )
    return lines


def _explain_numbers(contrast: Contrast, *, told_before: bool) -> str:
    """Return the text in brackets that explains the unit and interval of a contrast's numbers.

    Empty where an earlier sentence has explained them (`told_before`).
    """
    if np.isnan(contrast.p_adjusted):
        return " (points; too few seeds in common, or the same difference in every seed)"
    if told_before:
        return ""
    return (
        " (points ± half the 95 % interval of each comparison by itself; the verdict is Holm's "
        f"over all {contrast.family_size})"
    )


def _format_size(contrast: Contrast) -> str:
    """Return a norm's name with its difference and half-width."""
    paired = contrast.difference.paired
    digits = choose_digits(paired)
    half = "" if np.isnan(paired.half_width) else f" ± {format_number(paired.half_width, digits)}"
    return f"{contrast.norm} ({format_signed(paired.value, digits)}{half})"


def _describe_contrast(contrast: Contrast, comparison: Comparison) -> str:
    """Return sentences on one contrast."""
    paired, reference = contrast.difference.paired, comparison.reference
    if np.isnan(paired.value) and not len(comparison.auec[contrast.norm]):
        return f"{describe_incomplete_norm(comparison, contrast.norm)}."
    if np.isnan(paired.value):
        return f"{contrast.norm} and {reference} have no seed in common yet."
    size = f"{contrast.norm}'s error equals {reference}'s"
    if abs(paired.value) > ROUNDING_TOLERANCE:
        side = "higher" if paired.value > 0 else "lower"
        points = format_number(abs(paired.value), choose_digits(paired))
        size = f"{contrast.norm}'s error is {points} points {side} than {reference}'s"
    if np.isnan(paired.half_width):
        why = (
            "the same in every seed, so there is no interval and no test"
            if paired.num >= MIN_SEEDS
            else f"over {format_count(paired.num, 'seed')}, too few for an interval"
        )
        return f"{size} ({why})."
    if contrast.is_significant:
        return f"{size} ({format_contrast_interval(contrast)})."
    return (
        f"{contrast.norm} and {reference} are not distinguishable with "
        f"{format_count(paired.num, 'seed')}: "
        f"the difference is {format_signed(paired.value, choose_digits(paired))} points "
        f"({format_contrast_interval(contrast)}). "
        f"{_describe_found_difference(contrast)}"
    )


def _describe_found_difference(contrast: Contrast) -> str:
    """Return a sentence on the difference that the seeds find, at the first level of Holm."""
    paired = contrast.difference.paired
    detectable = (
        compute_detectable_difference(paired.num, alpha=ALPHA / contrast.family_size) * paired.sd
    )
    return (
        f"A difference of {format_points(detectable)} points would be found four times in five by "
        f"{format_count(paired.num, 'seed')}."
    )


def _describe_equivalence(findings: Findings, contrast: Contrast) -> str:
    """Return a sentence on equivalence; empty where nothing was tested."""
    p = findings.equivalence_p[contrast.norm]
    if np.isnan(p):
        return ""
    margin = f"±{findings.margin:g} points"
    if findings.is_equivalent(contrast):
        return f" The two are equivalent within {margin} (p {format_p_relation(p)})."
    if contrast.is_significant:
        return ""
    return f" Nor are they shown to be equivalent within {margin}."


def _describe_diverged_cells(comparison: Comparison) -> list[str]:
    """Return a sentence on cells with diverged trials, if there are any."""
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
        f"Diverged: {join_words(parts, MAX_DIVERGED_NAMED)}. A diverged trial counts at the "
        "error of "
        "guessing"
        + ("; the mean over the survivors stands beside it in the table." if survived else ".")
        + (_BIMODAL_NOTE if any(comparison.diverges_in_part(norm) for norm, _ in counts) else "")
    ]
