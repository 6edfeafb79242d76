"""Figures as bytes: PNG, SVG and PDF that are the same for the same input."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.figures.style import RC

Format = Literal["png", "svg", "pdf"]

# Without these, every file would hold the time and matplotlib's version.
_METADATA: dict[Format, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}

_CANVASES: dict[Format, type[FigureCanvasBase]] = {
    "png": FigureCanvasAgg,
    "svg": FigureCanvasSVG,
    "pdf": FigureCanvasPdf,
}


def rendered(figure: Figure, form: Format) -> bytes:
    """The figure as the bytes of a PNG, SVG or PDF file, without dates or versions."""
    buffer = BytesIO()
    metadata = _METADATA[form]
    with mpl.rc_context(RC):
        figure.set_dpi(RC["savefig.dpi"])
        _lay_out_once(figure)
        # `savefig` would draw everything twice, to lay it out once more.
        canvas: Any = _CANVASES[form](figure)
        if form == "png":
            canvas.print_png(buffer, metadata=metadata, pil_kwargs={"compress_level": 4})
        elif form == "svg":
            canvas.print_svg(buffer, metadata=metadata)
        else:
            canvas.print_pdf(buffer, metadata=metadata)
    return buffer.getvalue()


def _lay_out_once(figure: Figure) -> None:
    """Fix the layout on the first call: it takes longer than drawing, and formats share it."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
