"""Forest plot: each norm's difference from the reference in average error."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import GRID, INK, SOFT, looks, sheet
from analysis.findings import Findings
from analysis.formatting import p_value, signed
from analysis.statistics.inference.family import Contrast

ALT = (
    "Forest plot of each norm's difference from the reference in average error over batch sizes, "
    "with 95 % intervals and Holm-adjusted p; the zone taken to be no difference is shaded."
)


def draw(findings: Findings) -> Figure | None:
    """Difference in AUEC from the reference (points), the ±margin zone shaded."""
    comparison = findings.comparison
    gaps = [gap for gap in comparison.declared_contrasts if gap.difference.paired.num]
    if not gaps:
        return None
    gaps.sort(key=lambda gap: gap.difference.paired.value)
    with sheet(7.2, 1.1 + 0.42 * len(gaps)) as figure:
        axes = figure.add_subplot()
        margin = findings.margin
        axes.axvspan(-margin, margin, color="#ececec", linewidth=0, zorder=0)
        axes.axvline(0, color=SOFT, linewidth=0.9, zorder=1)
        by_norm = looks(comparison.norms)
        for row, gap in enumerate(gaps):
            _row(axes, row, gap, by_norm[gap.norm].colour, by_norm[gap.norm].marker)
        axes.set_yticks(range(len(gaps)), [by_norm[gap.norm].name for gap in gaps])
        axes.set_ylim(len(gaps) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.set_xlabel(
            f"← lower error than {by_norm[comparison.reference].name}      difference in AUEC "
            "(points)      higher error →"
        )
        return figure


def _row(axes: Axes, row: int, gap: Contrast, colour: str, marker: str) -> None:
    paired = gap.difference.paired
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
        text = f"{signed(paired.value)}   n = {paired.num}"
    else:
        text = f"{signed(paired.value)} ± {paired.half_width:.2f}   p {p_value(gap.p_adjusted)}"
    axes.text(
        1.02, row, text, transform=axes.get_yaxis_transform(), va="center", color=INK, fontsize=8.5
    )
