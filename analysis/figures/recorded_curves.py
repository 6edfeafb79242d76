"""Figures of metrics that trials recorded on request: a panel per batch size, a line per trial."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.figures.learning_curves import draw_metric_curves
from analysis.figures.style import GRID_COLOUR
from analysis.findings import Findings

LOG_SCALE_RATIO = 10.0


def describe_curves(what: str) -> str:
    """Return the alternative text of a figure with curves of the quantity `what`."""
    return (
        f"Curves of {what} against epoch, one panel for each batch size from large to small, one "
        "line for each trial, or for each norm's mean where there are many."
    )


def make_curve_drawer(metric: str, label: str) -> Callable[[Findings], Figure | None]:
    """Return a function that draws `metric` over epochs, or returns None where none was recorded.

    A line for each trial, or for each norm's mean where trials crowd a panel.
    """
    return lambda findings: draw_metric_curves(
        findings, metric, label, _format_axis, always_each=False
    )


def describe_watched_layer(findings: Findings) -> str:
    """Return the path of the watched layer in the network."""
    return " and ".join(findings.settings.get("train.watch", ())) or "the watched layer"


def _format_axis(axes: Axes, lowest: float, highest: float) -> None:
    """Set a log scale on the y axis if values are positive and span more than `LOG_SCALE_RATIO`."""
    if 0 < lowest * LOG_SCALE_RATIO < highest:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=GRID_COLOUR, linewidth=0.7)
    axes.set_axisbelow(True)
