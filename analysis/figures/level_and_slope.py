"""Level against slope: how good a norm is, and how flat, are two things."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis.figures.style import GRID, SOFT, looks, sheet, spread
from analysis.findings import Findings

ALT = (
    "Scatter plot of each norm's average error over batch sizes (level) against the rise of its "
    "error per halving of the batch (slope), with the intervals of both."
)


def draw(findings: Findings) -> Figure | None:
    """AUEC (percent) across, slope (points per halving) up, both with 95 % t intervals."""
    by_norm = looks(findings.comparison.norms)
    shown = {
        norm: found
        for norm, found in findings.measures.items()
        if not np.isnan(found.auec.value) and not np.isnan(found.slope.value)
    }
    if len(shown) < 2:
        return None
    with sheet(7.2, 4.2) as figure:
        axes = figure.add_subplot()
        axes.axhline(0, color=SOFT, linewidth=0.7, zorder=0)
        axes.grid(color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        for norm, found in shown.items():
            axes.errorbar(
                found.auec.value,
                found.slope.value,
                xerr=np.nan_to_num(found.auec.half_width),
                yerr=np.nan_to_num(found.slope.half_width),
                marker=by_norm[norm].marker,
                color=by_norm[norm].colour,
                markersize=7,
                elinewidth=1.2,
                linestyle="",
            )
        axes.margins(x=0.22, y=0.15)
        axes.set_xlabel("level: average error over batch sizes, AUEC (%)")
        axes.set_ylabel("slope: points per halving of the batch")
        axes.text(0.0, 1.02, "← better", transform=axes.transAxes, color=SOFT, va="bottom")
        axes.text(
            1.0, 1.02, "↓ flatter", transform=axes.transAxes, color=SOFT, va="bottom", ha="right"
        )
        low, high = axes.get_ylim()
        places = spread([found.slope.value for found in shown.values()], (high - low) * 0.045)
        for (norm, found), place in zip(shown.items(), places, strict=True):
            left = found.auec.value > sum(axes.get_xlim()) / 2
            axes.annotate(
                norm,
                (found.auec.value, place),
                xytext=(-9 if left else 9, 5),
                ha="right" if left else "left",
                textcoords="offset points",
                color=by_norm[norm].colour,
            )
        return figure
