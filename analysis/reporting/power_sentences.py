"""What the seeds can show, in words: detectable differences, and seeds that would settle more."""

from __future__ import annotations

import numpy as np

from analysis.findings import Findings
from analysis.formatting import counted, digits_for, listed, number, points, signed
from analysis.published import printed_gap
from analysis.statistics.at_chance import is_uninformative
from analysis.statistics.inference.family import Contrast
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.inference.power import compute_detectable_difference, compute_seeds_needed


def power(findings: Findings) -> list[str]:
    """Sentences on the power of the declared comparison and on the test set's own error."""
    known = [
        g
        for g in findings.comparison.declared_contrasts
        if not np.isnan(g.difference.paired.half_width)
    ]
    lines = []
    if known:
        by_seeds: dict[int, list[Contrast]] = {}
        for gap in known:
            by_seeds.setdefault(gap.difference.paired.num, []).append(gap)
        lines += [_detectable(by_seeds[n], names=len(by_seeds) > 1) for n in sorted(by_seeds)]
        lines += _published(findings, known)
    return [*lines, *(_test_set(findings) or _binomial(findings))]


def _detectable(gaps: list[Contrast], *, names: bool = False) -> str:
    """Return a sentence on the smallest detectable difference of gaps with one number of seeds.

    `names` adds whose gaps these are.
    """
    family, seeds = gaps[0].family_size, gaps[0].difference.paired.num
    found = sorted(
        compute_detectable_difference(seeds, alpha=ALPHA / family) * gap.difference.paired.sd
        for gap in gaps
    )
    of = f" ({listed([gap.norm for gap in gaps])})" if names else ""
    span = points(found[0])
    if points(found[-1]) != span:
        span = f"{span} to {points(found[-1])}"
    alone = f"{number(compute_detectable_difference(seeds))} standard deviations of the paired differences"
    strictest = number(compute_detectable_difference(seeds, alpha=ALPHA / family))
    among = f" by itself, and {strictest} as the first of {family} by Holm" if family > 1 else ""
    return (
        f"With {counted(seeds, 'seed')}{of} a difference in AUEC must be {alone} to be found four "
        f"times in five{among}: here {span} points."
    )


def _published(findings: Findings, gaps: list[Contrast]) -> list[str]:
    """How many seeds differences of the printed size would take, where the papers print them."""
    comparison = findings.comparison
    parts = []
    for gap in gaps:
        printed = printed_gap(
            findings.published, gap.norm, comparison.reference, comparison.common_batch_sizes
        )
        if printed:
            level = ALPHA / gap.family_size
            needed = compute_seeds_needed(abs(printed), gap.difference.paired.sd, alpha=level)
            many = "more than 1,000 seeds" if needed is None else counted(needed, "seed")
            parts.append(f"{gap.norm} ({signed(printed)}) {many}")
    if not parts:
        return []
    return [
        f"A difference of the printed size from {comparison.reference} (points), at the spread "
        f"seen here, is found four times in five with so many seeds: {', '.join(parts)}."
    ]


def closest_call(findings: Findings) -> list[str]:
    """How many more seeds would settle the closest call, were its difference the true one.

    The closest call is the norm with the smallest p that is shown to be neither different nor
    equivalent. Holm multiplies its p by the number of p values in the report that are no smaller.
    A norm that has learnt nothing is no call at all.
    """
    gaps = findings.comparison.declared_contrasts
    comparison = findings.comparison
    if comparison.diverges_in_part(comparison.reference):
        return []
    undecided = [
        gap
        for gap in gaps
        if gap.p_adjusted >= ALPHA
        and not findings.is_equivalent(gap)
        and not comparison.diverges_in_part(gap.norm)
        and not is_uninformative(comparison, gap.norm)
    ]
    if not undecided:
        return []
    closest = min(undecided, key=lambda gap: gap.difference.p)
    report = comparison.report or [comparison]
    family = sum(p >= closest.difference.p for item in report for p in item.declared_p)
    paired = closest.difference.paired
    needed = compute_seeds_needed(abs(paired.value), paired.sd, alpha=ALPHA / family)
    more = (
        "more than 1,000 seeds would be needed to show it"
        if needed is None
        else f"{counted(max(1, needed - paired.num), 'more seed')} would show it four times in five"
    )
    return [
        f"The closest call is {closest.norm}: were its difference of "
        f"{signed(paired.value, digits_for(paired))} points the true one, and the spread as seen, "
        f"{more}."
    ]


def _test_set(findings: Findings) -> list[str]:
    """What another test set would change, where trials kept which examples they had right."""
    if not findings.test_set:
        return []
    norm, widest = max(findings.test_set.items(), key=lambda item: item[1].over_examples)
    seeds = "" if np.isnan(widest.over_seeds) else f", beside ±{number(widest.over_seeds)} of seeds"
    return [
        "Another thing than the spread of seeds, and not reduced by more of them: the "
        f"{widest.num_examples:,} test examples that there happen to be leave up to "
        f"±{number(widest.over_examples)} points (95 %, paired by example) on a difference in "
        f"AUEC; that is {norm}'s{seeds}. {_others_on_test_set(findings)}"
    ]


def _others_on_test_set(findings: Findings) -> str:
    """Whose test-set error stands in the table, and why that of others does not."""
    absent = [norm for norm in findings.comparison.norms[1:] if norm not in findings.test_set]
    if not absent:
        return "The table of test-set error has every norm's."
    return (
        f"The table of test-set error lacks {listed(absent)}: no seed kept which examples it had "
        "right (`correct.npy`) at every batch size, there and under the reference."
    )


def _binomial(findings: Findings) -> list[str]:
    """The binomial error of a test set, which more seeds do not reduce."""
    sizes = findings.comparison.trials["num_test"].dropna()
    error = float(findings.comparison.scored["error"].median()) / 100
    if sizes.empty or np.isnan(error):
        return []
    size = int(sizes.min())
    half_width = 1.96 * np.sqrt(error * (1 - error) / size) * 100
    return [
        f"Another thing than the spread of seeds, and not reduced by more of them: a test set of "
        f"{size:,} examples by itself leaves ±{number(half_width)} points (95 %, binomial) on an "
        f"error of {number(100 * error, 1)} %. Norms share the test set, so their differences "
        "suffer less."
    ]
