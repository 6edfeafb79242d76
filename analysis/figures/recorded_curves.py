"""What trials recorded on request, over training: a panel per batch size, a line per trial."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.figures.learning_curves import curves
from analysis.figures.style import GRID
from analysis.findings import Findings

WIDE = 10.0


def alt(what: str) -> str:
    """Alternative text of the curves of `what`."""
    return (
        f"Curves of {what} against epoch, one panel for each batch size from large to small, one "
        "line for each trial, or for each norm's mean where there are many."
    )


def drawer(metric: str, label: str) -> Callable[[Findings], Figure | None]:
    """What draws `metric` over epochs, or gives None where no trial recorded it.

    A line for each trial, or where they crowd a panel for each norm's mean.
    """
    return lambda findings: curves(findings, metric, label, _axis, always_each=False)


def watched(findings: Findings) -> str:
    """Path of the watched layer in the network."""
    return " and ".join(findings.settings.get("train.watch", ())) or "the watched layer"


def _axis(axes: Axes, lowest: float, highest: float) -> None:
    """A log scale where the values are positive and span more than `WIDE` to one."""
    if 0 < lowest * WIDE < highest:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
