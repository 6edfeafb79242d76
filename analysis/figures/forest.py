"""Forest plot of each norm's difference from the reference in average error."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    GRID_COLOUR,
    MUTED_COLOUR,
    TEXT_COLOUR,
    assign_styles,
    open_figure,
)
from analysis.findings import Findings
from analysis.formatting import format_p, format_signed
from analysis.statistics.inference.family import Contrast

ALT = (
    "Forest plot of each norm's difference from the reference in average error over batch sizes, "
    "with 95 % intervals and Holm-adjusted p; the zone taken to be no difference is shaded."
)


def draw_forest(findings: Findings) -> Figure | None:
    """Return the figure of differences in AUEC from the reference, points; None without any."""
    comparison = findings.comparison
    gaps = [gap for gap in comparison.declared_contrasts if gap.difference.paired.num]
    if not gaps:
        return None
    gaps.sort(key=lambda gap: gap.difference.paired.value)
    with open_figure(7.2, 1.1 + 0.42 * len(gaps)) as figure:
        axes = figure.add_subplot()
        margin = findings.margin
        axes.axvspan(-margin, margin, color="#ececec", linewidth=0, zorder=0)
        axes.axvline(0, color=MUTED_COLOUR, linewidth=0.9, zorder=1)
        by_norm = assign_styles(comparison.norms)
        for row, gap in enumerate(gaps):
            _draw_contrast(axes, row, gap, by_norm[gap.norm].colour, by_norm[gap.norm].marker)
        axes.set_yticks(range(len(gaps)), [by_norm[gap.norm].name for gap in gaps])
        axes.set_ylim(len(gaps) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=GRID_COLOUR, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.set_xlabel(
            f"← lower error than {by_norm[comparison.reference].name}      difference in AUEC "
            "(points)      higher error →"
        )
        return figure


def _draw_contrast(axes: Axes, row: int, contrast: Contrast, colour: str, marker: str) -> None:
    """Draw one contrast with its interval and p."""
    paired = contrast.difference.paired
    axes.errorbar(
        paired.value,
        row,
        xerr=np.nan_to_num(paired.half_width),
        marker=marker,
        color=colour,
        markersize=7,
        elinewidth=1.6,
        linestyle="",
    )
    if np.isnan(paired.half_width):
        text = f"{format_signed(paired.value)}   n = {paired.num}"
    else:
        text = (
            f"{format_signed(paired.value)} ± {paired.half_width:.2f}   p "
            f"{format_p(contrast.p_adjusted)}"
        )
    axes.text(
        1.02,
        row,
        text,
        transform=axes.get_yaxis_transform(),
        va="center",
        color=TEXT_COLOUR,
        fontsize=8.5,
    )
