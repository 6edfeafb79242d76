"""Figures as bytes: PNG, SVG and PDF that are the same for the same input."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure

from analysis.figures.style import RC

Format = Literal["png", "svg", "pdf"]

# Without these, every file would hold the time and matplotlib's version.
_METADATA: dict[Format, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


def rendered(figure: Figure, form: Format) -> bytes:
    """The figure as the bytes of a PNG, SVG or PDF file, without dates or versions."""
    buffer = BytesIO()
    options: dict[str, Any] = {"pil_kwargs": {"compress_level": 4}} if form == "png" else {}
    with mpl.rc_context(RC):
        _lay_out_once(figure)
        figure.savefig(buffer, format=form, metadata=_METADATA[form], **options)
    return buffer.getvalue()


def _lay_out_once(figure: Figure) -> None:
    """Fix the layout on the first call: it takes longer than drawing, and formats share it."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
