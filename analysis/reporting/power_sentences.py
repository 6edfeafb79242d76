"""Sentences on power: detectable differences, and seeds that would decide more."""

from __future__ import annotations

import numpy as np

from analysis.findings import Findings
from analysis.formatting import (
    choose_digits,
    format_count,
    format_number,
    format_points,
    format_signed,
    join_words,
)
from analysis.published import compute_published_gap
from analysis.reporting.failure_rate_table import describe_failure_contrast
from analysis.statistics.at_chance import is_uninformative
from analysis.statistics.comparison import Comparison
from analysis.statistics.contrasts import ContrastTest
from analysis.statistics.inference.family import Contrast, Measure, Verdict
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.inference.power import (
    compute_seeds_needed,
    estimate_detectable_difference,
)

_TEST_NAMES = {
    ContrastTest.COMBINED: "combined over batch sizes",
    ContrastTest.PAIRED: "paired by seed",
    ContrastTest.UNPAIRED: "Welch's test, unpaired",
}


def describe_power(findings: Findings) -> list[str]:
    """Return sentences on the power of the declared contrasts and on the test set's own error."""
    lines = []
    for measure in (Measure.LEVEL, Measure.ROBUSTNESS):
        known = [
            gap
            for gap in findings.comparison.get_declared_contrasts(measure)
            if not np.isnan(gap.half_width)
        ]
        by_seeds: dict[int, list[Contrast]] = {}
        for gap in known:
            by_seeds.setdefault(gap.num, []).append(gap)
        lines += [
            _describe_detectable_difference(
                findings.comparison, by_seeds[num], names=len(by_seeds) > 1
            )
            for num in sorted(by_seeds)
        ]
    levels = findings.comparison.get_declared_contrasts(Measure.LEVEL)
    lines += _describe_published_power(
        findings, [gap for gap in levels if not np.isnan(gap.half_width)]
    )
    return [*lines, *(_describe_test_set_error(findings) or _describe_binomial_error(findings))]


def _describe_detectable_difference(
    comparison: Comparison, contrasts: list[Contrast], *, names: bool = False
) -> str:
    """Return a sentence on the smallest detectable difference of contrasts of one measure.

    All have one number of seeds; `names` adds the norms of these contrasts.
    """
    family, seeds = contrasts[0].family_size, contrasts[0].num
    found = sorted(
        (estimate_detectable_difference(gap.estimate, alpha=ALPHA / family) for gap in contrasts),
        key=lambda item: item.value,
    )
    of = f" ({join_words([gap.norm for gap in contrasts])})" if names else ""
    span = format_points(found[0].value)
    if format_points(found[-1].value) != span:
        span = f"{span} to {format_points(found[-1].value)}"
    what = "AUEC" if contrasts[0].measure is Measure.LEVEL else "the rise to the smallest batch"
    among = f" as the first of {family} by Holm" if family > 1 else ""
    ends = (
        f"{format_points(min(item.low for item in found))} to "
        f"{format_points(max(item.high for item in found))}"
    )
    return (
        f"With {format_count(seeds, 'seed')}{of} a difference in {what} is found four times in "
        f"five{among} from {span} points on ({_TEST_NAMES[comparison.test]}). The spread that this "
        f"rests on is itself estimated: 95 % intervals of these figures reach from {ends}."
    )


def _describe_published_power(findings: Findings, contrasts: list[Contrast]) -> list[str]:
    """Return a sentence on the seeds that differences of the printed size would take."""
    comparison = findings.comparison
    parts = []
    for gap in contrasts:
        printed = compute_published_gap(
            findings.published, gap.norm, comparison.reference, comparison.common_batch_sizes
        )
        if printed:
            level = ALPHA / gap.family_size
            needed = compute_seeds_needed(abs(printed), gap.estimate, alpha=level)
            many = "more than 1,000 seeds" if needed is None else format_count(needed, "seed")
            parts.append(f"{gap.norm} ({format_signed(printed)}) {many}")
    if not parts:
        return []
    return [
        f"A difference of the printed size from {comparison.reference} (points), at the spread "
        f"seen here, is found four times in five with so many seeds: {', '.join(parts)}."
    ]


def describe_closest_call(findings: Findings) -> list[str]:
    """Return a sentence on the seeds that a sweep would need to decide the closest open contrast.

    The closest contrast has the smallest p among those shown to be neither different nor
    equivalent. Holm multiplies its p by the number of p values in the report that are no smaller. A
    norm at chance is left out, and one that is compared by how often it learns.
    """
    comparison = findings.comparison
    if comparison.diverges_in_part(comparison.reference):
        return []
    undecided = [
        gap
        for gap in comparison.declared_contrasts
        if gap.is_tested
        and findings.decide(gap) is Verdict.UNDECIDED
        and not comparison.diverges_in_part(gap.norm)
        and not is_uninformative(comparison, gap.norm)
        and not describe_failure_contrast(findings, gap.norm)
    ]
    if not undecided:
        return []
    closest = min(undecided, key=lambda gap: gap.estimate.p)
    report = comparison.report or [comparison]
    family = sum(
        gap.estimate.p >= closest.estimate.p for item in report for gap in item.declared_contrasts
    )
    needed = compute_seeds_needed(abs(closest.value), closest.estimate, alpha=ALPHA / family)
    planned = (
        "even 1,000 seeds would not show it four times in five"
        if needed is None
        else f"a new sweep would show it four times in five with {format_count(needed, 'seed')}, "
        "planned from the start"
    )
    what = "level" if closest.measure is Measure.LEVEL else "robustness"
    return [
        f"The closest call is {closest.norm} ({what}): were its difference of "
        f"{format_signed(closest.value, choose_digits(closest))} points the true one, and the "
        f"spread as seen, {planned}. Seeds added to this sweep because of this report would not "
        "keep its 5 % of false claims."
    ]


def _describe_test_set_error(findings: Findings) -> list[str]:
    """Return a sentence on the error from the choice of test examples, where trials stored them."""
    if not findings.test_set_contrasts:
        return []
    norm, widest = max(findings.test_set_contrasts.items(), key=lambda item: item[1].over_examples)
    seeds = (
        ""
        if np.isnan(widest.over_seeds)
        else f", beside ±{format_number(widest.over_seeds)} of seeds"
    )
    return [
        "Another thing than the spread of seeds, and not reduced by more of them: the "
        f"{widest.num_examples:,} test examples that there happen to be leave up to "
        f"±{format_number(widest.over_examples)} points (95 %, paired by example) on a "
        "difference in "
        f"AUEC; that is {norm}'s{seeds}. {_describe_absent_norms(findings)}"
    ]


def _describe_absent_norms(findings: Findings) -> str:
    """Return a sentence on the norms that the table of test-set error lacks."""
    absent = [
        norm for norm in findings.comparison.norms[1:] if norm not in findings.test_set_contrasts
    ]
    if not absent:
        return "The table of test-set error has every norm's."
    return (
        f"The table of test-set error lacks {join_words(absent)}: no seed kept which "
        "examples it had "
        "right (`correct.npy`) at every batch size, there and under the reference."
    )


def _describe_binomial_error(findings: Findings) -> list[str]:
    """Return a sentence on the binomial error of the test set, which more seeds do not reduce."""
    sizes = findings.comparison.trials["num_test"].dropna()
    error = float(findings.comparison.scored["error"].median()) / 100
    if sizes.empty or np.isnan(error):
        return []
    size = int(sizes.min())
    half_width = 1.96 * np.sqrt(error * (1 - error) / size) * 100
    return [
        f"Another thing than the spread of seeds, and not reduced by more of them: a test set of "
        f"{size:,} examples by itself leaves ±{format_number(half_width)} points (95 %, "
        "binomial) on an "
        f"error of {format_number(100 * error, 1)} %. Norms share the test set, so their "
        "differences "
        "suffer less."
    ]
