"""The answer in words, made from the numbers and saying nothing stronger than they allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from analysis.comparison import Comparison, Gap
from analysis.findings import Findings, findings_of
from analysis.inference import MIN_SEEDS
from analysis.options import Options
from analysis.schema import Trials
from analysis.wording import between, counted, listed, number, p_value, signed

MANY = 4
"""Other norms beyond which the declared comparison is told in groups."""


def headline(trials: Trials, reference: str | None = None) -> list[str]:
    """Three or four lines of what was found, for a terminal."""
    return summary(findings_of(trials, Options(reference=reference)))


def summary(found: Sequence[Findings]) -> list[str]:
    """The lines of `headline` for findings that are at hand."""
    if len(found) > 1:
        return [f"{item.comparison.label}: {_primary(item)[0]}" for item in found]
    only = found[0]
    lines = [
        *coverage(only.comparison)[:1],
        *_primary(only)[:2],
        smallest_batch(only.comparison),
    ]
    return [line for line in lines if line]


def answer(findings: Findings) -> list[str]:
    """The paragraphs at the top of the report."""
    comparison = findings.comparison
    lines = [*_primary(findings), *_by_batch_size(comparison), *_axes(findings)]
    return [*lines, *_diverged(comparison)]


def coverage(comparison: Comparison) -> list[str]:
    """What was asked for, what is there, and what that forbids to say."""
    cells = comparison.cells.values()
    asked = sum(len(cell.seeds) for cell in cells)
    ended = sum(len(cell.ended) for cell in cells)
    sizes = comparison.batch_sizes
    span = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    counts = {len(cell.seeds) for cell in cells}
    few_seeds, seeds = min(counts), counted(max(counts), "seed")
    lines = [
        f"{ended} of {counted(asked, 'trial')} have a result: "
        f"{counted(len(comparison.norms), 'norm')}, batch size{'s'[: len(sizes) > 1]} {span}, "
        f"{seeds if len(counts) == 1 else f'{few_seeds} to {seeds}'} each."
    ]
    few = [cell for cell in cells if 0 < len(cell.ended) < MIN_SEEDS]
    if few:
        lines.append(
            f"Fewer than {MIN_SEEDS} seeds in {counted(len(few), 'cell')}: no interval is given "
            "there, and nothing is claimed from it."
        )
    return lines


def missing_trials(comparison: Comparison) -> list[str]:
    """One line per cell that lacks results: which seeds, and what became of them."""
    trials = comparison.trials
    keys = zip(trials["norm"], trials["batch_size"], trials["seed"], strict=True)
    outcomes = dict(zip(keys, trials["outcome"].str.replace("_", " "), strict=True))
    lines = []
    for (norm, size), cell in comparison.cells.items():
        states: dict[str, list[int]] = {}
        for seed in cell.missing:
            states.setdefault(outcomes.get((norm, size, seed), "not started"), []).append(seed)
        if states:
            parts = [
                f"{'seed' if len(seeds) == 1 else 'seeds'} {listed(seeds)} {state}"
                for state, seeds in states.items()
            ]
            lines.append(f"{norm} at batch size {size}: {'; '.join(parts)}")
    return lines


def _primary(findings: Findings) -> list[str]:
    """The declared comparison: AUEC of each norm against the reference's."""
    comparison = findings.comparison
    sizes = comparison.common_batch_sizes
    if len(comparison.norms) == 1 or not sizes:
        return ["There is nothing to compare: only one norm, or no batch size in common."]
    where = (
        f"Averaged over batch sizes {sizes[0]} to {sizes[-1]} (AUEC)"
        if len(sizes) > 1
        else f"At batch size {sizes[0]}"
    )
    if all(gap.difference.paired.num == 0 for gap in comparison.primary):
        return [f"{where}: no seed has yet finished every batch size under two norms."]
    if len(comparison.primary) > MANY:
        return _grouped(findings, where)
    texts = [_gap(g, comparison.reference) + _equivalence(findings, g) for g in comparison.primary]
    return [f"{where}, {texts[0]}", *(f"Likewise, {text}" for text in texts[1:])]


def _grouped(findings: Findings, where: str) -> list[str]:
    """Many norms against the reference in three sentences: worse, better, and undecided."""
    gaps = findings.comparison.primary
    name = findings.comparison.reference
    apart = [gap for gap in gaps if gap.distinguishable]
    groups = (
        ("higher than", [gap for gap in apart if gap.difference.paired.value > 0]),
        ("lower than", [gap for gap in apart if gap.difference.paired.value < 0]),
        ("not distinguishable from", [gap for gap in gaps if not gap.distinguishable]),
    )
    lines = [
        f"{where}, {listed([_size(gap) for gap in members])} "
        f"{'is' if len(members) == 1 else 'are'} {verb} {name} (points ± half a 95 % interval, "
        "Holm-adjusted)."
        for verb, members in groups
        if members
    ]
    same = [gap.norm for gap in gaps if findings.is_equivalent(gap)]
    if same:
        margin = number(findings.margin, 1)
        lines.append(f"Equivalent to {name} within ±{margin} points: {listed(same)}.")
    return lines


def _size(gap: Gap) -> str:
    paired = gap.difference.paired
    half = "" if np.isnan(paired.half_width) else f" ± {number(paired.half_width)}"
    return f"{gap.norm} ({signed(paired.value)}{half})"


def _gap(gap: Gap, reference: str) -> str:
    paired = gap.difference.paired
    if np.isnan(paired.value):
        return f"{gap.norm} and {reference} have no seed in common yet."
    size = (
        f"{gap.norm}'s error is {number(abs(paired.value))} points "
        f"{'higher' if paired.value > 0 else 'lower'} than {reference}'s"
    )
    if np.isnan(paired.half_width):
        why = (
            "all seeds give the same difference, so no interval"
            if paired.num >= MIN_SEEDS
            else f"over {counted(paired.num, 'seed')}, too few for an interval"
        )
        return f"{size} ({why})."
    numbers = f"95 % interval {between(paired)}, Holm-adjusted p {_equals(gap.p_adjusted)}"
    if gap.distinguishable:
        return f"{size} ({numbers})."
    return (
        f"{gap.norm} and {reference} are not distinguishable with {counted(paired.num, 'seed')}: "
        f"the difference is {signed(paired.value)} points ({numbers})."
    )


def _equivalence(findings: Findings, gap: Gap) -> str:
    """Whether the two may be called equally robust; silence where nothing was tested."""
    p = findings.equivalent[gap.norm]
    if np.isnan(p):
        return ""
    margin = f"±{number(findings.margin, 1)} points"
    if findings.is_equivalent(gap):
        return f" The two are equivalent within {margin} (p {_equals(p)})."
    if gap.distinguishable:
        return ""
    return f" Nor are they shown to be equivalent within {margin}."


def _axes(findings: Findings) -> list[str]:
    """Level and slope are two axes: which norm is lowest, which is flattest."""
    measures = [m for m in findings.measures.values() if not np.isnan(m.slope.value)]
    if len(measures) < 2:
        return []
    best = min(measures, key=lambda m: m.auec.value)
    flat = min(measures, key=lambda m: abs(m.slope.value))
    level = f"{best.norm} has the lowest average error ({number(best.auec.value)} %)"
    slope = f"{signed(flat.slope.value)} points per halving of the batch"
    if best.norm == flat.norm:
        return [f"As measured, not tested: {level} and is also the flattest ({slope})."]
    own = f"{signed(best.slope.value)}"
    return [f"As measured, not tested: {level}; {flat.norm} is the flattest ({slope}, not {own})."]


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _by_batch_size(comparison: Comparison) -> list[str]:
    """Which norm has the lowest mean at which batch sizes, and whether it is set apart there."""
    if len(comparison.norms) == 1:
        return []
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for size in comparison.batch_sizes:
        best = comparison.best(size)
        if best:
            groups.setdefault((best.norm, best.rivals), []).append(size)
    return [
        f"At batch {'size' if len(sizes) == 1 else 'sizes'} {listed(sizes)} {norm} has the lowest "
        f"mean error, {_apart(rivals, len(comparison.norms))}."
        for (norm, rivals), sizes in groups.items()
    ]


def _apart(rivals: tuple[str, ...], num_norms: int) -> str:
    if not rivals:
        return "distinguishable from every other norm"
    if len(rivals) == num_norms - 1:
        return "but it is not distinguishable from any other norm"
    return f"but it is not distinguishable from {listed(rivals)}"


def smallest_batch(comparison: Comparison) -> str:
    """What is known at the smallest batch size that has results under two norms."""
    for size in reversed(comparison.batch_sizes):
        ended = [c for c in comparison.cells.values() if c.batch_size == size and c.ended]
        best = comparison.best(size)
        if len(ended) > 1 and best:
            means = sorted(ended, key=lambda cell: cell.error.value)
            if len(means) > MANY + 1:
                means = [means[0], means[-1]]
            shown = (" to " if len(means) < len(ended) else ", ").join(
                f"{cell.norm} {number(cell.error.value)} %" for cell in means
            )
            apart = _apart(best.rivals, len(ended)).removeprefix("but it is ")
            return f"At batch size {size}: {shown}; {best.norm} is {apart}."
    return ""


def _diverged(comparison: Comparison) -> list[str]:
    counts = Counter(
        {(c.norm, c.batch_size): len(c.diverged) for c in comparison.cells.values() if c.diverged}
    )
    if not counts:
        return []
    parts = [
        f"{norm} at batch size {size} ({count} of {len(comparison.cells[norm, size].ended)})"
        for (norm, size), count in counts.items()
    ]
    return [
        f"Diverged: {listed(parts)}. A diverged trial counts at the error of guessing; "
        "the mean over the survivors stands beside it in the table."
    ]
