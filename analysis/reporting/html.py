"""The report as one HTML page that needs nothing else: styles and figures are in it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from analysis.reporting.page import Page

TEMPLATE = Path(__file__).with_name("report.html.j2")


def html(page: Page, svg: Mapping[str, bytes]) -> str:
    """The page, with the figure of each stem in `svg` inlined as an image."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    images = {stem: f"data:image/svg+xml;base64,{b64encode(d).decode()}" for stem, d in svg.items()}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(page=page, images=images)
