"""The report as one HTML page that needs nothing else: styles and figures are in it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.reporting.page import Page

if TYPE_CHECKING:
    from markupsafe import Markup

WORD = 16
"""Letters that a table's first column has room for."""
TEMPLATE = Path(__file__).with_name("report.html.j2")


def html(page: Page, svg: Mapping[str, bytes]) -> str:
    """The page, with the figure of each stem in `svg` inlined as an image."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = breakable
    images = {stem: f"data:image/svg+xml;base64,{b64encode(d).decode()}" for stem, d in svg.items()}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(page=page, images=images)


def breakable(name: str) -> Markup:
    """`name` with places where a narrow column may break it: between words, else within them."""
    from markupsafe import Markup

    words = re.split(r"(?=\()|(?<=[,_:.])", name) if len(name) > WORD else [name]
    parts = [word[at : at + WORD] for word in words for at in range(0, len(word), WORD)]
    return Markup("<wbr>").join(parts)
