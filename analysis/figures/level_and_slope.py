"""Level against slope: how good a norm is, and how flat, are two things."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from analysis.figures.style import GRID, SOFT, Look, looks, sheet, spread
from analysis.findings import Findings
from analysis.statistics.at_chance import list_norms_at_chance

ALT = (
    "Scatter plot of each norm's average error over batch sizes (level) against the rise of its "
    "error per halving of the batch (slope), with the intervals of both."
)

MANY = 5


def draw(findings: Findings) -> Figure | None:
    """AUEC (percent) across, slope (points per halving) up, both with 95 % t intervals.

    Norms that have learnt nothing are left out: their errors cannot rise.
    """
    by_norm = looks(findings.comparison.norms)
    nothing = list_norms_at_chance(findings.comparison)
    shown = {
        norm: found
        for norm, found in findings.measures.items()
        if not np.isnan(found.auec.value)
        and not np.isnan(found.slope.value)
        and norm not in nothing
    }
    if len(shown) < 2:
        return None
    with sheet(7.2, 4.2) as figure:
        axes = figure.add_subplot()
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
                label=by_norm[norm].name,
            )
        axes.margins(x=0.22, y=0.15)
        if axes.get_ylim()[0] < 0 < axes.get_ylim()[1]:
            axes.axhline(0, color=SOFT, linewidth=0.7, zorder=0)
        axes.set_xlabel("level: average error over batch sizes, AUEC (%)")
        axes.set_ylabel("slope: points per halving of the batch")
        axes.text(0.0, 1.02, "← better", transform=axes.transAxes, color=SOFT, va="bottom")
        axes.text(
            1.0,
            1.02,
            "slope of a straight line",
            transform=axes.transAxes,
            color=SOFT,
            va="bottom",
            ha="right",
        )
        if len(shown) > MANY:
            figure.legend(loc="outside right upper", fontsize=8.5)
        else:
            places = {norm: (m.auec.value, m.slope.value) for norm, m in shown.items()}
            _labels(axes, places, by_norm)
        return figure


def _labels(axes: Axes, places: dict[str, tuple[float, float]], by_norm: dict[str, Look]) -> None:
    """Each norm's name beside its point, on the side where there is room."""
    low, high = axes.get_ylim()
    heights = spread([slope for _, slope in places.values()], (high - low) * 0.045)
    for (norm, (level, _)), height in zip(places.items(), heights, strict=True):
        left = level > sum(axes.get_xlim()) / 2
        axes.annotate(
            by_norm[norm].name,
            (level, height),
            xytext=(-9 if left else 9, 5),
            ha="right" if left else "left",
            textcoords="offset points",
            color=by_norm[norm].colour,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
