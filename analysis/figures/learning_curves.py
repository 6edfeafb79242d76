"""Learning curves: a metric over epochs, a panel per batch size, a line per trial."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import SOFT, Look, legend, looks, panels, percent_axis, rows_of, sheet
from analysis.findings import Findings

ALT = (
    "Learning curves: test error against epoch, one panel for each batch size from large to "
    "small, one line for each trial, with the learning rate's drops as vertical lines."
)


def draw(findings: Findings) -> Figure | None:
    """Test error (percent) after every epoch of every trial; None where no curves are known."""
    return curves(findings, "test_error", "test error (%)", percent_axis)


def curves(
    findings: Findings, metric: str, name: str, axis: Callable[[Axes, float, float], None]
) -> Figure | None:
    """A metric after every epoch of every trial, a panel per batch size; None without values.

    `axis` prepares a panel's y axis, given the metric's lowest and highest value.
    """
    comparison = findings.comparison
    if metric not in comparison.epochs or comparison.epochs[metric].isna().all():
        return None
    epochs = comparison.epochs.dropna(subset=[metric])
    by_norm = looks(comparison.norms)
    diverged = comparison.trials.loc[comparison.trials["outcome"] == "diverged", "trial_id"]
    sizes = [b for b in comparison.batch_sizes if (epochs["batch_size"] == b).any()]
    with sheet(7.2, 0.7 + 2.1 * rows_of(len(sizes))) as figure:
        lowest, highest = epochs[metric].min(), epochs[metric].max()
        for axes, size in zip(panels(figure, len(sizes), share_x=True), sizes, strict=True):
            part = epochs[epochs["batch_size"] == size]
            _panel(axes, part, metric, by_norm)
            _crosses(axes, part[part["trial_id"].isin(diverged)], metric, by_norm)
            axes.set_title(f"batch size {size}")
            axis(axes, float(lowest), float(highest))
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel(name, fontsize=9)
        drawn = set(epochs["norm"])
        legend(figure, {norm: look for norm, look in by_norm.items() if norm in drawn})
        return figure


def _panel(axes: Axes, epochs: pd.DataFrame, metric: str, by_norm: dict[str, Look]) -> None:
    crowd = epochs["trial_id"].nunique()
    for norm, part in epochs.groupby("norm", sort=False):
        look = by_norm[str(norm)]
        # All trials of a norm are one line with gaps: hundreds of lines would draw slowly.
        times, values = part["epoch"].to_numpy(float), part[metric].to_numpy(float)
        ends = np.flatnonzero(part["trial_id"].to_numpy()[1:] != part["trial_id"].to_numpy()[:-1])
        times, values = (np.insert(drawn, ends + 1, np.nan) for drawn in (times, values))
        axes.plot(
            times,
            values,
            color=look.colour,
            linestyle=look.dash,
            linewidth=1.1 if crowd < 20 else 0.7,
            marker=look.marker if np.nanmax(times) == 1 else "",
            alpha=0.85 if crowd < 20 else 0.6,
        )
    for epoch in schedule_drops(epochs):
        axes.axvline(epoch + 0.5, color=SOFT, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)


def _crosses(axes: Axes, epochs: pd.DataFrame, metric: str, by_norm: dict[str, Look]) -> None:
    """A cross at the last finite value of each of these trials, which diverged after it."""
    for norm, last in epochs.groupby(["norm", "trial_id"], sort=False).last().groupby(level=0):
        colour = by_norm[str(norm)].colour
        axes.plot(last["epoch"].to_numpy(float), last[metric], "x", color=colour, markersize=6)


def schedule_drops(epochs: pd.DataFrame) -> list[int]:
    """Epochs after which the learning rate of some trial falls to half or less at once."""
    lr, following = epochs["lr"].to_numpy(float), epochs["lr"].shift(-1).to_numpy(float)
    same = (epochs["trial_id"] == epochs["trial_id"].shift(-1)).to_numpy(bool)
    fell = same & (following <= 0.5 * lr)
    return sorted(int(epoch) for epoch in set(epochs["epoch"].to_numpy()[fell]))
