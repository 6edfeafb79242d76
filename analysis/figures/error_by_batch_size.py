"""Error against batch size: every seed a dot, the mean a line, its interval a band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import (
    INK,
    SOFT,
    Look,
    batch_size_axis,
    looks,
    percent_axis,
    sheet,
    spread,
)
from analysis.findings import Findings
from analysis.statistics.comparison import Comparison

ALT = (
    "Line chart of test error against batch size from large to small, one line per norm with "
    "each seed as a dot; the table of errors gives the same numbers."
)

MANY = 5


def draw(findings: Findings) -> Figure:
    """Test error (percent) of each norm at each batch size, large to small.

    A diverged trial is a cross at chance error, at which it enters the mean.
    """
    comparison = findings.comparison
    by_norm = looks(comparison.norms)
    errors = comparison.scored["error"]
    with sheet(7.2, max(4.4, 0.9 + 0.17 * len(comparison.norms))) as figure:
        axes = figure.add_subplot()
        percent_axis(axes, float(errors.min()), float(errors.max()))
        batch_size_axis(axes, comparison.batch_sizes)
        axes.set_ylabel("test error, last epoch (%)")
        for place, norm in enumerate(comparison.norms):
            shift = 2.0 ** (-0.07 * (place - (len(comparison.norms) - 1) / 2) * _crowd(comparison))
            _norm(axes, comparison, norm, by_norm[norm], shift)
        _labels(figure, axes, comparison, by_norm)
        if comparison.scored["diverged"].any():
            cross = Line2D([], [], color=INK, marker="x", linestyle="", markersize=6)
            axes.legend([cross], ["diverged, at chance error"], loc="upper left", fontsize=8)
        return figure


def _crowd(comparison: Comparison) -> float:
    return min(1.0, 6 / len(comparison.norms))


def _norm(axes: Axes, comparison: Comparison, norm: str, look: Look, shift: float) -> None:
    cells = [comparison.cells.get((norm, size)) for size in comparison.batch_sizes]
    shown = [cell for cell in cells if cell is not None and cell.ended]
    sizes = np.array([cell.batch_size for cell in shown]) * shift
    means = np.array([cell.error.value for cell in shown])
    low = np.array([cell.error.low for cell in shown])
    high = np.array([cell.error.high for cell in shown])
    bottom = axes.get_ylim()[0] if axes.get_yscale() == "log" else 0.0
    axes.fill_between(
        sizes,
        np.maximum(low, bottom),
        high,
        color=look.colour,
        alpha=0.13 * _crowd(comparison),
        linewidth=0,
    )
    axes.plot(sizes, means, color=look.colour, linestyle=look.dash, linewidth=1.8, zorder=3)
    rows = comparison.scored[comparison.scored["norm"] == norm]
    crowded = len(comparison.norms) > MANY
    for diverged, marker in ((False, look.marker), (True, "x")):
        part = rows[rows["diverged"] == diverged]
        axes.plot(
            part["batch_size"].to_numpy(float) * shift,
            part["error"],
            marker=marker,
            linestyle="",
            markersize=(7 if diverged else 4.5) * (0.6 if crowded else 1),
            color=look.colour,
            markeredgewidth=1.6 if diverged else 0.0 if crowded else 0.6,
            markeredgecolor=look.colour if diverged else "white",
            alpha=1.0 if diverged else 0.45 if crowded else 0.85,
            zorder=4,
        )


def _labels(figure: Figure, axes: Axes, comparison: Comparison, by_norm: dict[str, Look]) -> None:
    """Each line's name at its right end, moved apart where lines end close together."""
    ends: dict[str, float] = {}
    for (norm, _), cell in comparison.cells.items():
        if cell.ended:
            ends[norm] = cell.error.value
    height = figure.get_figheight() * 0.78 * 72
    transform, inverse = axes.transData, axes.transAxes.inverted()
    wished = [
        float(inverse.transform(transform.transform((axes.get_xlim()[1], value)))[1])
        for value in ends.values()
    ]
    for (norm, _), wish, place in zip(
        ends.items(), wished, _inside(wished, 11 / height), strict=True
    ):
        axes.annotate(
            by_norm[norm].name,
            xy=(1.0, wish),
            xytext=(1.03, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=by_norm[norm].colour,
            fontsize=9,
            arrowprops={
                "arrowstyle": "-",
                "color": SOFT,
                "linewidth": 0.5,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 0,
            },
            annotation_clip=False,
        )


def _inside(wished: Sequence[float], gap: float) -> list[float]:
    """Label places as fractions of the axes' height, kept within it."""
    placed = spread(wished, gap)
    over = max(0.0, max(placed) - 1.0)
    under = max(0.0, -min(placed))
    return [place - over + under for place in placed]
