"""What the report says, before it is HTML or Markdown: sections of words, figures and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import comb

import pandas as pd

from analysis.figures import critical_difference
from analysis.findings import Findings
from analysis.formatting import listed, p_value, spans
from analysis.reporting.measure_table import measure_tables
from analysis.reporting.methods import METHODS, NOT_BY_SEED
from analysis.reporting.power_sentences import power
from analysis.reporting.published_table import published_tables
from analysis.reporting.recorded_table import recorded_tables
from analysis.reporting.report_figures import Drawn, gallery
from analysis.reporting.sign_reversal_sentences import depends
from analysis.reporting.statistics_or_sgd_section import in_words, unconfounded_table
from analysis.reporting.statistics_table import statistics_table
from analysis.reporting.summary import answer
from analysis.reporting.tables import Table, error_table, gap_table, top5_table
from analysis.reporting.test_set_table import test_set_table
from analysis.reporting.time_table import time_table, without_curves
from analysis.reporting.trial_coverage import coverage, in_short, missing_trials
from analysis.reporting.trial_differences import notes
from analysis.schema import Results
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.ranks import Ranks, rank_norms
from analysis.statistics.statistics_or_sgd import separate_harm


@dataclass(frozen=True)
class Section:
    """What is said of one comparison. `label` is empty where the report has only one."""

    label: str
    coverage: tuple[str, ...]
    answer: tuple[str, ...]
    missing: tuple[str, ...]
    power: tuple[str, ...]
    figures: tuple[Drawn, ...]
    tables: tuple[Table, ...]


LONGEST = 40
"""Letters of a label that a file name holds."""

SMALL = "small edition: "
"""How a record begins to say what the small edition of its grid replaced."""


@dataclass(frozen=True)
class Page:
    """The whole report. `edition` says in large letters what is not as in the full sweep."""

    name: str
    edition: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    methods: tuple[tuple[str, str], ...]
    protocol: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()

    @property
    def edition_title(self) -> str:
        """What the large letters say."""
        return "Small edition" if SMALL in self.edition else "Part of the data"

    @property
    def edition_detail(self) -> str:
        """What stands below them."""
        return self.edition.replace(SMALL, "")


def page(trials: Results, found: Sequence[Findings]) -> Page:
    """The report on `found`, the findings on `trials`."""
    labels = [item.comparison.label for item in found]
    suffixes = [f"-{name}" for name in slugs(labels)] if len(found) > 1 else [""]
    return Page(
        name=trials.name,
        edition=edition_of(trials),
        sections=(
            *_depends(found),
            *_overall(found),
            *_unconfounded(found),
            *map(_section, found, suffixes),
        ),
        notes=(*notes(trials, [item.comparison for item in found]), *without_curves(found)),
        methods=_methods(trials),
        protocol=_protocol([item.settings for item in found]),
        provenance=_provenance(trials),
        warnings=trials.warnings,
    )


def _methods(trials: Results) -> tuple[tuple[str, str], ...]:
    if trials.made_by_sweep:
        return METHODS
    return tuple(NOT_BY_SEED if name == NOT_BY_SEED[0] else (name, text) for name, text in METHODS)


def edition_of(trials: Results) -> str:
    """What a small edition replaced, or how the data were limited; empty where nothing was."""
    editions = sorted(set(trials.trials["edition"]) - {""})
    return " / ".join(edition.removeprefix("(").removesuffix(")") for edition in editions)


def _section(findings: Findings, suffix: str) -> Section:
    """What is said of `findings`; `suffix` is empty where they are the only ones."""
    comparison = findings.comparison
    tables = [error_table(comparison)]
    if findings.by_top5:
        tables.append(top5_table(findings.by_top5))
    if len(comparison.norms) > 1:
        tables.append(gap_table(comparison))
    tables += measure_tables(findings)
    further = (
        test_set_table(findings),
        statistics_table(findings),
        time_table(findings),
        *published_tables(findings),
        *recorded_tables(findings),
    )
    return Section(
        label=comparison.label if suffix else "",
        coverage=tuple(coverage(comparison)),
        answer=tuple(answer(findings)),
        missing=tuple(in_short(missing_trials(comparison))),
        power=tuple(power(findings)),
        figures=tuple(gallery(findings, suffix)),
        tables=(*tables, *(table for table in further if table)),
    )


def _depends(found: Sequence[Findings]) -> Iterator[Section]:
    """That a norm is better or worse depends on a factor of the grid; before anything else."""
    lines = depends(found)
    if lines:
        yield Section("What depends on the variant", (), tuple(lines), (), (), (), ())


def _overall(found: Sequence[Findings]) -> Iterator[Section]:
    """Ranks over all data sets and networks, where there are enough of them."""
    ranks = rank_norms([item.comparison for item in found])
    if ranks is None:
        return
    order = listed([f"{norm} ({mean:.2f})" for norm, mean in ranks.mean.items()])
    joined = "; ".join(listed(group) for group in ranks.groups)
    verdict = f"Not distinguishable: {joined}." if joined else "All are distinguishable."
    verdict += _too_few(ranks)
    caption = (
        f"Mean rank by AUEC over {ranks.num_blocks} pairs of data set and network; a bar joins "
        f"norms that are not distinguishable (Friedman p {p_value(ranks.p)}, then Wilcoxon with "
        "Holm)."
    )
    yield Section(
        label="Over all data sets and networks",
        coverage=(),
        answer=(f"Mean ranks, lower is better: {order}. {verdict}",),
        missing=(),
        power=(),
        figures=(
            Drawn(
                "critical-difference",
                "Critical difference",
                caption,
                critical_difference.ALT,
                critical_difference.draw(ranks),
            ),
        ),
        tables=(),
    )


def _too_few(ranks: Ranks) -> str:
    """That no pair could be set apart whatever the results, where so few blocks allow none."""
    pairs = comb(len(ranks.mean), 2)
    if ranks.smallest_p < ALPHA:
        return ""
    return (
        f" {ranks.num_blocks} pairs of data set and network are too few to set any of {pairs} "
        f"pairs of norms apart: the smallest p that Wilcoxon's test and Holm's adjustment can give "
        f"is {p_value(ranks.smallest_p)}."
    )


def _unconfounded(found: Sequence[Findings]) -> Iterator[Section]:
    """What of a small batch's harm is the statistics', where a grid tells it from SGD's."""
    items = separate_harm([item.comparison for item in found])
    for item in items:
        yield Section(
            label="Statistics or SGD" + (f": {item.label}" if len(items) > 1 else ""),
            coverage=(),
            answer=tuple(in_words(item)),
            missing=(),
            power=(),
            figures=(),
            tables=(unconfounded_table(item),),
        )


def slugs(labels: Sequence[str]) -> list[str]:
    """Labels as parts of file names: no two alike, on disks that know no capitals either.

    Short: without the parts that all of them share, and of a dotted name the last word.

    >>> slugs(["digits, cnn, train.optimizer.lr=0.1", "digits, cnn, train.optimizer.lr=1"])
    ['lr-0.1', 'lr-1']
    """
    names: list[str] = []
    parts = [label.split(", ") for label in labels]
    shared = set.intersection(*map(set, parts)) if len(labels) > 1 else set()
    own = [", ".join(part for part in item if part not in shared) for item in parts]
    for label in own:
        label = re.sub(r"[\w.]*\.(?=[A-Za-z_]\w*=)", "", label)
        name = re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-")[:LONGEST] or "other"
        tried = (f"{name}-{number}" if number > 1 else name for number in count(1))
        names.append(next(each for each in tried if each not in names))
    return names


def _protocol(settings: Sequence[Mapping[str, tuple[str, ...]]]) -> tuple[tuple[str, str], ...]:
    """Each setting with its value, or with all its values where trials differ."""
    names = sorted({name for item in settings for name in item})
    values = {
        name: dict.fromkeys(value for item in settings for value in item.get(name, ()))
        for name in names
    }
    return tuple((name, " · ".join(found)) for name, found in values.items())


def _wall_time(trials: pd.DataFrame) -> str:
    """From when to when, and how long that is on a clock; pauses between runs are in it."""
    started = pd.to_datetime(trials.loc[trials["started"] != "", "started"], utc=True)
    ended = pd.to_datetime(trials.loc[trials["ended"] != "", "ended"], utc=True)
    if started.empty or ended.empty:
        return ""
    first, last = started.min(), ended.max()
    span = str((last - first).components.days) + " d " if (last - first).days else ""
    clock = (last - first).components
    span += f"{clock.hours:d} h {clock.minutes:02d} min {clock.seconds:02d} s"
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC ({span} on the clock)"


def _provenance(trials: Results) -> tuple[tuple[str, str], ...]:
    frame = trials.trials
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
        ("seeds", ", ".join(spans(sorted(set(frame["seed"]))))),
        ("trained", _wall_time(frame)),
        ("time spent training", f"{seconds:,.0f} s over all trials" if seconds else ""),
        ("packages", ", ".join(f"{name} {v}" for name, v in trials.packages.items())),
    ]
    return tuple((name, text) for name, text in rows if text)
