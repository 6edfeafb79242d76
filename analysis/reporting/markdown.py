"""The report as Markdown, with its figures beside it in `figures/`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from analysis.reporting.page import ReportPage, ReportSection
from analysis.reporting.tables import PageTable, TableCell

LINE_BREAK = "\n"


def render_markdown(page: ReportPage) -> str:
    """Return the whole report as GitHub-flavoured Markdown."""
    lines = [f"# {page.name}", ""]
    for warning in page.warnings:
        lines += [f"**Warning.** {warning}", ""]
    if page.edition:
        lines += [f"**{page.edition_title.upper()}: {page.edition_detail}**", ""]
    for section in page.sections:
        lines += _render_section(section)
    lines += ["## How it is computed", ""]
    lines += [f"- **{name}.** {text}" for name, text in page.methods] + [""]
    for title, rows in (("Protocol", page.protocol), ("Provenance", page.provenance)):
        if rows:
            lines += [f"## {title}", "", "| | |", "|---|---|"]
            lines += [f"| {_escape_cell(name)} | {_escape_cell(text)} |" for name, text in rows] + [
                ""
            ]
    lines += [f"- {note}" for note in page.notes]
    return escape_markup("\n".join(lines).rstrip() + "\n")


def escape_markup(text: str) -> str:
    """Return the text with HTML tags and links, as a norm's name may contain, escaped.

    The report's own links lead into `figures/` and stay.
    """
    return re.sub(r"\]\((?!figures/)", r"]\\(", re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text))


def _render_section(section: ReportSection) -> Iterator[str]:
    """Yield the lines of one section."""
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
        yield from _render_table(table)


def _render_table(table: PageTable) -> Iterator[str]:
    """Yield the lines of one table."""
    yield from (f"### {table.title}", "", f"| {' | '.join(table.headings)} |")
    yield "|---" + "|---:" * (len(table.headings) - 1) + "|"
    for label, cells in table.rows:
        yield f"| {_escape_cell(label)} | {' | '.join(map(_render_cell, cells))} |"
    yield from ("", *(note + "  " for note in table.notes), "")


def _render_cell(cell: TableCell) -> str:
    """Return a table cell."""
    value = f"**{cell.value}**" if cell.best else cell.value
    margin = f" ± {cell.margin}" if cell.margin else ""
    note = f" ({cell.note.replace(LINE_BREAK, '; ')})" if cell.note else ""
    return _escape_cell(f"{value}{margin}{note}")


def _escape_cell(text: str) -> str:
    """Return text without characters that end a table cell."""
    return text.replace("|", "\\|").replace("\n", " ")
