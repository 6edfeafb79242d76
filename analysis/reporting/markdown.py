"""The report as Markdown, with its figures beside it in `figures/`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from analysis.reporting.page import Page, Section
from analysis.reporting.tables import Shown, Table

LINE = "\n"


def markdown(page: Page) -> str:
    """The whole report, GitHub-flavoured."""
    lines = [f"# {page.name}", ""]
    for warning in page.warnings:
        lines += [f"**Warning.** {warning}", ""]
    if page.editions:
        lines += [f"**{page.edition_title.upper()}: {page.edition_detail}**", ""]
    for section in page.sections:
        lines += _section(section)
    lines += ["## How it is computed", ""]
    lines += [f"- **{name}.** {text}" for name, text in page.methods] + [""]
    for title, rows in (("Protocol", page.protocol), ("Provenance", page.provenance)):
        if rows:
            lines += [f"## {title}", "", "| | |", "|---|---|"]
            lines += [f"| {_cell(name)} | {_cell(text)} |" for name, text in rows] + [""]
    lines += [f"- {note}" for note in page.notes]
    return inert("\n".join(lines).rstrip() + "\n")


def inert(text: str) -> str:
    """The text with HTML and links that a name brought along made plain.

    The report's own links lead into `figures/`.
    """
    return re.sub(r"\]\((?!figures/)", r"]\\(", re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text))


def _section(section: Section) -> Iterator[str]:
    if section.label:
        yield from (f"## {section.label}", "")
    for line in (*section.answer, *section.coverage):
        yield from (line, "")
    if section.power:
        yield from ("What the seeds can show:", "", *(f"- {line}" for line in section.power), "")
    if section.missing:
        yield from ("Missing:", "", *(f"- {line}" for line in section.missing), "")
    for drawn in section.figures:
        yield from (f"### {drawn.title}", "", f"![{drawn.alt}](figures/{drawn.stem}.svg)", "")
        yield from (drawn.caption, "")
    for table in section.tables:
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    yield from (f"### {table.title}", "", f"| {' | '.join(table.headings)} |")
    yield "|---" + "|---:" * (len(table.headings) - 1) + "|"
    for label, cells in table.rows:
        yield f"| {_cell(label)} | {' | '.join(map(_shown, cells))} |"
    yield from ("", *(note + "  " for note in table.notes), "")


def _shown(shown: Shown) -> str:
    value = f"**{shown.value}**" if shown.best else shown.value
    margin = f" ± {shown.margin}" if shown.margin else ""
    note = f" ({shown.note.replace(LINE, '; ')})" if shown.note else ""
    return _cell(f"{value}{margin}{note}")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
