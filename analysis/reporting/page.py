"""What the report says, before it is HTML, Markdown or JSON: sections of words, figures, tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.comparison import Comparison
from analysis.figures import error_by_batch_size, learning_curves
from analysis.reporting.answer import answer, coverage, missing_trials
from analysis.reporting.tables import Table, error_table, gap_table
from analysis.reporting.wording import counted, listed
from analysis.schema import Trials


@dataclass(frozen=True)
class Drawn:
    """A figure of the report: the stem of its files, what it shows, and the figure itself."""

    stem: str
    title: str
    caption: str
    alt: str
    figure: Figure


@dataclass(frozen=True)
class Section:
    """What is said of one comparison. `label` is empty where the report has only one."""

    label: str
    coverage: tuple[str, ...]
    answer: tuple[str, ...]
    missing: tuple[str, ...]
    figures: tuple[Drawn, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Page:
    """The whole report. `edition` says in large letters how the data were limited."""

    name: str
    edition: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    protocol: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]


_FIGURES: tuple[tuple[str, str, str, str, Callable[[Comparison], Figure | None]], ...] = (
    (
        "error-by-batch-size",
        "Error against batch size",
        "Last epoch's test error. Every dot is a trial, the line their mean, the band its 95 % t "
        "interval (none below three seeds).",
        error_by_batch_size.ALT,
        error_by_batch_size.draw,
    ),
    (
        "learning-curves",
        "Learning curves",
        "Test error after every epoch, every trial a line; a dotted vertical marks a drop of the "
        "learning rate.",
        learning_curves.ALT,
        learning_curves.draw,
    ),
)


def page(trials: Trials, found: Sequence[Comparison]) -> Page:
    """The report on `found`, the comparisons of `trials`."""
    several = len(found) > 1
    editions = sorted(set(trials.trials["edition"]) - {""})
    return Page(
        name=trials.name,
        edition=" / ".join(edition.strip("()") for edition in editions),
        sections=tuple(_section(item, several) for item in found),
        notes=(*trials.notes, *_unstarted(trials), *_mixed(trials.trials)),
        protocol=_protocol(trials.settings),
        provenance=_provenance(trials),
    )


def _section(comparison: Comparison, several: bool) -> Section:
    suffix = f"-{slug(comparison.label)}" if several else ""
    drawn = [
        Drawn(f"{stem}{suffix}", title, caption, alt, figure)
        for stem, title, caption, alt, draw in _FIGURES
        if (figure := draw(comparison)) is not None
    ]
    tables = [error_table(comparison)]
    if len(comparison.norms) > 1:
        tables.append(gap_table(comparison))
    return Section(
        label=comparison.label if several else "",
        coverage=tuple(coverage(comparison)),
        answer=tuple(answer(comparison)),
        missing=tuple(missing_trials(comparison)),
        figures=tuple(drawn),
        tables=tuple(tables),
    )


def slug(label: str) -> str:
    """A label as part of a file name."""
    return re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-")


def _unstarted(trials: Trials) -> list[str]:
    """Variants that were asked for and of which no trial has been started."""
    absent = set(trials.expected["variant"]) - set(trials.trials["variant"])
    return [f"Not started: {listed(sorted(absent))}."] if absent else []


def _mixed(trials: pd.DataFrame) -> list[str]:
    """Versions that differ between the trials, which a comparison should not hide."""
    notes = []
    for column, what in (("code_version", "code versions"), ("spec_version", "spec versions")):
        counts = trials[trials[column] != ""].groupby(column).size()
        if len(counts) > 1:
            parts = [f"{version} ({counted(n, 'trial')})" for version, n in counts.items()]
            notes.append(f"These trials come from different {what}: {listed(parts)}.")
    return notes


def _protocol(settings: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    """Each setting with its value, or with all its values where trials differ."""
    rows = []
    for key in settings.columns:
        values = sorted(set(settings[key]) - {""})
        rows.append((str(key), " · ".join(values)))
    return tuple(rows)


def _provenance(trials: Trials) -> tuple[tuple[str, str], ...]:
    frame = trials.trials
    seconds = frame["train_s"].sum()
    rows = [
        ("sweeps", ", ".join(sorted(set(frame["sweep"]) - {""}))),
        ("code versions", ", ".join(sorted(set(frame["code_version"]) - {""}))),
        ("devices", ", ".join(sorted(set(frame["device"]) - {""}))),
        ("seeds", ", ".join(map(str, sorted(set(frame["seed"]))))),
        ("time spent training", f"{seconds:,.0f} s over all trials" if seconds else ""),
        ("packages", ", ".join(f"{name} {v}" for name, v in trials.packages.items())),
    ]
    return tuple((name, text) for name, text in rows if text)
