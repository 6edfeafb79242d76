"""The report as one HTML page with styles and figures inside."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.reporting.page import ReportPage

if TYPE_CHECKING:
    from markupsafe import Markup

MAX_WORD_LETTERS = 16
"""Letters that fit into a line of a table's first column."""
TEMPLATE = Path(__file__).with_name("report.html.j2")


def render_html(page: ReportPage, svg: Mapping[str, bytes]) -> str:
    """Return the page as HTML, with the figure of each stem in `svg` inlined as an image."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = insert_line_breaks
    images = {stem: f"data:image/svg+xml;base64,{b64encode(d).decode()}" for stem, d in svg.items()}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(page=page, images=images)


def insert_line_breaks(name: str) -> Markup:
    """Return `name` with HTML line-break opportunities between words, else within them."""
    from markupsafe import Markup

    words = re.split(r"(?=\()|(?<=[,_:.])", name) if len(name) > MAX_WORD_LETTERS else [name]
    parts = [
        word[at : at + MAX_WORD_LETTERS]
        for word in words
        for at in range(0, len(word), MAX_WORD_LETTERS)
    ]
    return Markup("<wbr>").join(parts)
