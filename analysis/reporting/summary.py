"""The report's first paragraphs and the lines for a terminal, made from the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analysis.findings import Findings, compute_findings
from analysis.formatting import join_words
from analysis.options import ReportOptions
from analysis.reporting.added_seeds_sentence import describe_added_seeds
from analysis.reporting.best_norm_sentences import describe_best_norms, describe_smallest_batch
from analysis.reporting.chance_warnings import describe_bounds
from analysis.reporting.contrast_sentences import describe_declared_contrasts
from analysis.reporting.crossing_sentences import describe_crossings
from analysis.reporting.level_and_rise_sentence import describe_level_and_rise
from analysis.reporting.power_sentences import describe_closest_call
from analysis.reporting.sign_reversal_sentences import describe_sign_reversals
from analysis.reporting.source_changes import describe_source_changes
from analysis.reporting.statistics_or_sgd_section import describe_harm
from analysis.reporting.time_table import describe_missing_curves
from analysis.reporting.trial_coverage import describe_coverage
from analysis.schema import Results
from analysis.statistics.comparison import Comparison
from analysis.statistics.statistics_or_sgd import separate_harm

MAX_DIVERGED_NAMED = 6
"""Cells with diverged trials that are named, at most; the table of errors has all."""

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
        *describe_crossings(only),
        *describe_coverage(only.comparison)[:1],
        *describe_source_changes(only.comparison),
        *describe_added_seeds(only.comparison),
        *describe_bounds(only)[:1],
        *describe_declared_contrasts(only)[:2],
        describe_smallest_batch(only.comparison),
        *describe_missing_curves(all_findings),
    ]
    return [line for line in lines if line]


def write_answer(findings: Findings) -> list[str]:
    """Return the paragraphs at the top of a comparison's section."""
    comparison = findings.comparison
    return [
        *describe_crossings(findings),
        *describe_source_changes(comparison),
        *describe_added_seeds(comparison),
        *describe_bounds(findings),
        *_describe_identical_networks(comparison),
        *describe_declared_contrasts(findings),
        *describe_closest_call(findings),
        *describe_best_norms(comparison),
        *describe_level_and_rise(findings),
        *_describe_diverged_cells(comparison),
    ]


def _write_short_answer(findings: Findings, one_by_one: int) -> list[str]:
    """Return the sentences for one of several comparisons: norms at bounds, declared contrasts."""
    return [
        *describe_crossings(findings),
        *describe_source_changes(findings.comparison),
        *describe_added_seeds(findings.comparison),
        *describe_bounds(findings)[:1],
        *describe_declared_contrasts(findings, one_by_one),
    ]


def _describe_identical_networks(comparison: Comparison) -> list[str]:
    """Return sentences on norms that are one network."""
    return [
        f"{join_words(group)} are the same network here: seed by seed their weights end "
        "equal to the "
        "bit. They are compared with the others once, and not with each other."
        for group in comparison.identical_networks
    ]


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
