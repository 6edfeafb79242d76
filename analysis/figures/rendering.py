"""Figures rendered to PNG, SVG and PDF, with equal bytes for equal input."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.figures.style import MATPLOTLIB_SETTINGS

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


def render_figure(figure: Figure, form: Format) -> bytes:
    """Return the figure as the bytes of a PNG, SVG or PDF file, without dates or versions."""
    buffer = BytesIO()
    metadata = _METADATA[form]
    with mpl.rc_context(MATPLOTLIB_SETTINGS):
        figure.set_dpi(MATPLOTLIB_SETTINGS["savefig.dpi"])
        _fix_layout(figure)
        # `savefig` would draw everything twice, to lay it out once more.
        canvas: Any = _CANVASES[form](figure)
        if form == "png":
            canvas.print_png(buffer, metadata=metadata, pil_kwargs={"compress_level": 4})
        elif form == "svg":
            canvas.print_svg(buffer, metadata=metadata)
        else:
            canvas.print_pdf(buffer, metadata=metadata)
    return buffer.getvalue()


def _fix_layout(figure: Figure) -> None:
    """Compute the figure's layout once, at the first call, for all file formats.

    The layout takes longer to compute than the drawing.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
