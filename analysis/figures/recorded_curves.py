"""A watched layer over training: mean and variance of its outputs, a panel per batch size."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.figures.learning_curves import curves
from analysis.figures.style import GRID
from analysis.findings import Findings

ALT = (
    "Curves of the {what} of a watched layer's outputs against epoch, one panel for each batch "
    "size from large to small, one line for each trial."
)
MEAN_ALT, VARIANCE_ALT = ALT.format(what="mean"), ALT.format(what="variance")
WIDE = 10.0


def draw_mean(findings: Findings) -> Figure | None:
    """Mean of the watched layer's outputs in every epoch; None where no layer was watched."""
    return curves(findings, "activation_mean", "mean of the layer's outputs", _axis)


def draw_variance(findings: Findings) -> Figure | None:
    """Variance of the watched layer's outputs in every epoch; None where none was watched."""
    return curves(findings, "activation_variance", "variance of the layer's outputs", _axis)


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
