"""Figure of error against batch size: every seed a dot, the mean a line, its interval a band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import (
    MUTED_COLOUR,
    TEXT_COLOUR,
    NormStyle,
    assign_styles,
    open_figure,
    set_batch_size_axis,
    set_percent_axis,
    spread_positions,
)
from analysis.findings import Findings
from analysis.statistics.comparison import Comparison

ALT = (
    "Line chart of test error against batch size from large to small, one line per norm with "
    "each seed as a dot; the table of errors gives the same numbers."
)

MAX_NORMS_WITH_LARGE_MARKS = 5


def draw_error_by_batch_size(findings: Findings) -> Figure:
    """Return the figure of test error (percent) of each norm by batch size, large to small.

    A diverged trial is a cross at chance error, which enters the mean.
    """
    comparison = findings.comparison
    by_norm = assign_styles(comparison.norms)
    errors = comparison.scored["error"]
    with open_figure(7.2, max(4.4, 0.9 + 0.17 * len(comparison.norms))) as figure:
        axes = figure.add_subplot()
        set_percent_axis(axes, float(errors.min()), float(errors.max()))
        set_batch_size_axis(axes, comparison.batch_sizes)
        axes.set_ylabel("test error, last epoch (%)")
        for place, norm in enumerate(comparison.norms):
            shift = 2.0 ** (
                -0.07
                * (place - (len(comparison.norms) - 1) / 2)
                * _compute_density_scale(comparison)
            )
            _draw_norm(axes, comparison, norm, by_norm[norm], shift)
        _draw_line_labels(figure, axes, comparison, by_norm)
        if comparison.scored["diverged"].any():
            cross = Line2D([], [], color=TEXT_COLOUR, marker="x", linestyle="", markersize=6)
            axes.legend([cross], ["diverged, at chance error"], loc="upper left", fontsize=8)
        return figure


def _compute_density_scale(comparison: Comparison) -> float:
    """Return the factor, at most 1, by which marks shrink where norms are many."""
    return min(1.0, 6 / len(comparison.norms))


def _draw_norm(
    axes: Axes, comparison: Comparison, norm: str, look: NormStyle, shift: float
) -> None:
    """Draw one norm's trials, mean and interval."""
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
        alpha=0.13 * _compute_density_scale(comparison),
        linewidth=0,
    )
    axes.plot(sizes, means, color=look.colour, linestyle=look.dash, linewidth=1.8, zorder=3)
    rows = comparison.scored[comparison.scored["norm"] == norm]
    crowded = len(comparison.norms) > MAX_NORMS_WITH_LARGE_MARKS
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


def _draw_line_labels(
    figure: Figure, axes: Axes, comparison: Comparison, by_norm: dict[str, NormStyle]
) -> None:
    """Write each line's name at its right end, spread where lines end close together."""
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
        ends.items(), wished, _place_labels(wished, 11 / height), strict=True
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
                "color": MUTED_COLOUR,
                "linewidth": 0.5,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 0,
            },
            annotation_clip=False,
        )


def _place_labels(wished: Sequence[float], gap: float) -> list[float]:
    """Return the labels' heights as fractions of the axes, at least `gap` apart."""
    placed = spread_positions(wished, gap)
    over = max(0.0, max(placed) - 1.0)
    under = max(0.0, -min(placed))
    return [place - over + under for place in placed]
