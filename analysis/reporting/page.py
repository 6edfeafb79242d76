"""Content of the report, before its HTML or Markdown: sentences, figures and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import comb

import pandas as pd

from analysis.figures import critical_difference
from analysis.findings import Findings
from analysis.formatting import format_p, format_ranges, join_words
from analysis.reporting.block_section import build_block_table, describe_over_blocks
from analysis.reporting.failure_rate_table import build_failure_table
from analysis.reporting.looks_note import describe_looks
from analysis.reporting.measure_table import build_measure_tables
from analysis.reporting.methods import METHODS, TEST_METHODS, UNVERIFIED_PAIRING_METHOD
from analysis.reporting.power_sentences import describe_power
from analysis.reporting.published_table import build_published_tables
from analysis.reporting.recorded_table import build_recorded_tables
from analysis.reporting.report_figures import ReportFigure, draw_figures
from analysis.reporting.sign_reversal_sentences import describe_sign_reversals
from analysis.reporting.statistics_or_sgd_section import build_harm_table, describe_harm
from analysis.reporting.statistics_table import build_statistics_table
from analysis.reporting.summary import write_answer
from analysis.reporting.tables import (
    PageTable,
    build_contrast_table,
    build_error_table,
    build_top5_table,
)
from analysis.reporting.test_set_table import build_test_set_table
from analysis.reporting.time_table import build_time_table, describe_missing_curves
from analysis.reporting.trial_coverage import describe_coverage, list_missing_trials, shorten_list
from analysis.reporting.trial_differences import describe_trial_differences
from analysis.schema import PresetInfo, Results
from analysis.statistics.contrasts import ContrastTest
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.norms_over_blocks import compare_over_blocks
from analysis.statistics.ranks import Ranks, rank_norms
from analysis.statistics.statistics_or_sgd import separate_harm


@dataclass(frozen=True)
class ReportSection:
    """Content of one comparison's section; `label` is empty where the report has only one."""

    label: str
    coverage: tuple[str, ...]
    answer: tuple[str, ...]
    missing: tuple[str, ...]
    power: tuple[str, ...]
    figures: tuple[ReportFigure, ...]
    tables: tuple[PageTable, ...]


MAX_SLUG_LETTERS = 40
"""Letters of a label in a file name, at most."""


@dataclass(frozen=True)
class ReportPage:
    """Content of the whole report; `presets` are what the banner on presets tells, if any."""

    name: str
    presets: tuple[PresetInfo, ...]
    sections: tuple[ReportSection, ...]
    notes: tuple[str, ...]
    methods: tuple[tuple[str, str], ...]
    protocol: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()

    @property
    def preset_title(self) -> str:
        """Title of the banner."""
        is_small = any(preset.is_small for preset in self.presets)
        return "Small edition" if is_small else "Part of the data"

    @property
    def preset_detail(self) -> str:
        """Text below the banner's title."""
        return " / ".join(preset.detail for preset in self.presets)


def build_page(results: Results, all_findings: Sequence[Findings]) -> ReportPage:
    """Return the content of the report on `results`."""
    labels = [item.comparison.label for item in all_findings]
    suffixes = [f"-{name}" for name in make_slugs(labels)] if len(all_findings) > 1 else [""]
    return ReportPage(
        name=results.name,
        presets=list_presets(results),
        sections=(
            *_build_reversal_section(all_findings),
            *_build_block_section(all_findings),
            *_build_rank_section(all_findings),
            *_build_harm_sections(all_findings),
            *map(_build_section, all_findings, suffixes),
        ),
        notes=(
            *describe_trial_differences(results, [item.comparison for item in all_findings]),
            *describe_missing_curves(all_findings),
            *describe_looks(results),
        ),
        methods=_select_methods(results, all_findings),
        protocol=_tabulate_protocol([item.settings for item in all_findings]),
        provenance=_tabulate_provenance(results),
        warnings=results.warnings,
    )


def _select_methods(
    results: Results, all_findings: Sequence[Findings]
) -> tuple[tuple[str, str], ...]:
    """Return the explanations that hold for the origin of the results and the tests used."""
    tests = {item.comparison.test for item in all_findings if len(item.comparison.norms) > 1}
    methods = list(METHODS)
    place = [name for name, _ in methods].index("Claims")
    methods[place:place] = [("Test", TEST_METHODS[test]) for test in ContrastTest if test in tests]
    if results.made_by_sweep:
        return tuple(methods)
    return tuple(
        UNVERIFIED_PAIRING_METHOD if name == UNVERIFIED_PAIRING_METHOD[0] else (name, text)
        for name, text in methods
    )


def list_presets(results: Results) -> tuple[PresetInfo, ...]:
    """Return what small presets replaced and how data were limited; empty for neither."""
    texts = sorted(set(results.trials["edition"]) - {""})
    return tuple(results.presets[text] for text in texts)


def _build_section(findings: Findings, suffix: str) -> ReportSection:
    """Return the section on `findings`; `suffix` is empty where they are the only ones."""
    comparison = findings.comparison
    tables = [build_error_table(comparison)]
    if findings.by_top5:
        tables.append(build_top5_table(findings.by_top5))
    if len(comparison.norms) > 1:
        tables.append(build_contrast_table(findings))
    tables += build_measure_tables(findings)
    further = (
        build_failure_table(findings),
        build_test_set_table(findings),
        build_statistics_table(findings),
        build_time_table(findings),
        *build_published_tables(findings),
        *build_recorded_tables(findings),
    )
    return ReportSection(
        label=comparison.label if suffix else "",
        coverage=tuple(describe_coverage(comparison)),
        answer=tuple(write_answer(findings)),
        missing=tuple(shorten_list(list_missing_trials(comparison))),
        power=tuple(describe_power(findings)),
        figures=tuple(draw_figures(findings, suffix)),
        tables=(*tables, *(table for table in further if table)),
    )


def _build_reversal_section(all_findings: Sequence[Findings]) -> Iterator[ReportSection]:
    """Yield the section on norms whose sign depends on a factor, if there are any."""
    lines = describe_sign_reversals(all_findings)
    if lines:
        yield ReportSection("What depends on the variant", (), tuple(lines), (), (), (), ())


def _build_block_section(all_findings: Sequence[Findings]) -> Iterator[ReportSection]:
    """Yield the section on each norm over data sets and networks, if there are enough."""
    found = compare_over_blocks([item.comparison for item in all_findings])
    if found:
        answer = tuple(describe_over_blocks(found))
        tables = (build_block_table(found),)
        yield ReportSection("Each norm over data sets and networks", (), answer, (), (), (), tables)


def _build_rank_section(all_findings: Sequence[Findings]) -> Iterator[ReportSection]:
    """Yield the section on ranks over data sets and networks, if there are enough."""
    ranks = rank_norms([item.comparison for item in all_findings])
    if ranks is None:
        return
    order = join_words([f"{norm} ({mean:.2f})" for norm, mean in ranks.mean.items()])
    joined = "; ".join(join_words(group) for group in ranks.groups)
    verdict = f"Not distinguishable: {joined}." if joined else "All are distinguishable."
    verdict += _describe_too_few_blocks(ranks)
    caption = (
        f"Mean rank by AUEC over {ranks.num_blocks} pairs of data set and network; a bar joins "
        f"norms that are not distinguishable (Friedman p {format_p(ranks.p)}, then Wilcoxon with "
        "Holm)."
    )
    yield ReportSection(
        label="Over all data sets and networks",
        coverage=(),
        answer=(f"Mean ranks, lower is better: {order}. {verdict}",),
        missing=(),
        power=(),
        figures=(
            ReportFigure(
                "critical-difference",
                "Critical difference",
                caption,
                critical_difference.ALT,
                critical_difference.draw_ranks(ranks),
            ),
        ),
        tables=(),
    )


def _describe_too_few_blocks(ranks: Ranks) -> str:
    """Return a sentence where no result could separate a pair in so few blocks; else empty."""
    pairs = comb(len(ranks.mean), 2)
    if ranks.smallest_p < ALPHA:
        return ""
    return (
        f" {ranks.num_blocks} pairs of data set and network are too few to set any of {pairs} "
        f"pairs of norms apart: the smallest p that Wilcoxon's test and Holm's adjustment can give "
        f"is {format_p(ranks.smallest_p)}."
    )


def _build_harm_sections(all_findings: Sequence[Findings]) -> Iterator[ReportSection]:
    """Yield a section on harm by statistics or by SGD for each pair of halves in the grid."""
    items = separate_harm([item.comparison for item in all_findings])
    for item in items:
        yield ReportSection(
            label="Statistics or SGD" + (f": {item.label}" if len(items) > 1 else ""),
            coverage=(),
            answer=tuple(describe_harm(item)),
            missing=(),
            power=(),
            figures=(),
            tables=(build_harm_table(item),),
        )


def make_slugs(labels: Sequence[str]) -> list[str]:
    """Return labels as parts of file names: no two equal, also on disks that ignore case.

    Parts that all labels share are left out, and of a dotted name all but the last word.

    >>> make_slugs(["digits, cnn, train.optimizer.lr=0.1", "digits, cnn, train.optimizer.lr=1"])
    ['lr-0.1', 'lr-1']
    """
    names: list[str] = []
    parts = [label.split(", ") for label in labels]
    shared = set.intersection(*map(set, parts)) if len(labels) > 1 else set()
    own = [", ".join(part for part in item if part not in shared) for item in parts]
    for label in own:
        label = re.sub(r"[\w.]*\.(?=[A-Za-z_]\w*=)", "", label)
        name = re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-")[:MAX_SLUG_LETTERS] or "other"
        tried = (f"{name}-{number}" if number > 1 else name for number in count(1))
        names.append(next(each for each in tried if each not in names))
    return names


def _tabulate_protocol(
    settings: Sequence[Mapping[str, tuple[str, ...]]],
) -> tuple[tuple[str, str], ...]:
    """Return each setting with its value, or with all its values where trials differ."""
    names = sorted({name for item in settings for name in item})
    values = {
        name: dict.fromkeys(value for item in settings for value in item.get(name, ()))
        for name in names
    }
    return tuple((name, " · ".join(found)) for name, found in values.items())


def _describe_wall_time(trials: pd.DataFrame) -> str:
    """Return the first start, the last end, and the time between them, pauses included."""
    started = pd.to_datetime(trials.loc[trials["started"] != "", "started"], utc=True)
    ended = pd.to_datetime(trials.loc[trials["ended"] != "", "ended"], utc=True)
    if started.empty or ended.empty:
        return ""
    first, last = started.min(), ended.max()
    span = str((last - first).components.days) + " d " if (last - first).days else ""
    clock = (last - first).components
    span += f"{clock.hours:d} h {clock.minutes:02d} min {clock.seconds:02d} s"
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC ({span} on the clock)"


def _tabulate_provenance(results: Results) -> tuple[tuple[str, str], ...]:
    """Return rows on sweeps, versions, machines, seeds, times and packages."""
    frame = results.trials
    seconds = frame["train_s"].sum()
    rows = [
        *(
            (title, ", ".join(sorted(set(frame[name]) - {""})))
            for title, name in (
                ("sweeps", "sweep"),
                ("code versions", "code_version"),
                ("spec versions", "spec_version"),
                ("machines", "host"),
                ("devices", "device"),
            )
        ),
        ("seeds", ", ".join(format_ranges(sorted(set(frame["seed"]))))),
        ("trained", _describe_wall_time(frame)),
        ("time spent training", f"{seconds:,.0f} s over all trials" if seconds else ""),
        ("packages", ", ".join(f"{name} {v}" for name, v in results.packages.items())),
    ]
    return tuple((name, text) for name, text in rows if text)
