"""Learning curves: test error over epochs, a panel per batch size, a line per trial."""

from __future__ import annotations

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
    comparison = findings.comparison
    epochs = comparison.epochs.dropna(subset=["test_error"])
    if epochs.empty:
        return None
    by_norm = looks(comparison.norms)
    diverged = comparison.trials.loc[comparison.trials["outcome"] == "diverged", "trial_id"]
    sizes = [b for b in comparison.batch_sizes if (epochs["batch_size"] == b).any()]
    with sheet(7.2, 0.7 + 2.1 * rows_of(len(sizes))) as figure:
        lowest, highest = epochs["test_error"].min(), epochs["test_error"].max()
        for axes, size in zip(panels(figure, len(sizes), share_x=True), sizes, strict=True):
            part = epochs[epochs["batch_size"] == size]
            _panel(axes, part, by_norm)
            _crosses(axes, part[part["trial_id"].isin(diverged)], by_norm)
            axes.set_title(f"batch size {size}")
            percent_axis(axes, float(lowest), float(highest))
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel("test error (%)", fontsize=9)
        legend(figure, by_norm)
        return figure


def _panel(axes: Axes, epochs: pd.DataFrame, by_norm: dict[str, Look]) -> None:
    crowd = epochs["trial_id"].nunique()
    for norm, part in epochs.groupby("norm", sort=False):
        look = by_norm[str(norm)]
        # All trials of a norm are one line with gaps: hundreds of lines would draw slowly.
        times, errors = part["epoch"].to_numpy(float), part["test_error"].to_numpy(float)
        ends = np.flatnonzero(part["trial_id"].to_numpy()[1:] != part["trial_id"].to_numpy()[:-1])
        times, errors = (np.insert(values, ends + 1, np.nan) for values in (times, errors))
        axes.plot(
            times,
            errors,
            color=look.colour,
            linestyle=look.dash,
            linewidth=1.1 if crowd < 20 else 0.7,
            marker=look.marker if np.nanmax(times) == 1 else "",
            alpha=0.85 if crowd < 20 else 0.6,
        )
    for epoch in schedule_drops(epochs):
        axes.axvline(epoch + 0.5, color=SOFT, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)


def _crosses(axes: Axes, epochs: pd.DataFrame, by_norm: dict[str, Look]) -> None:
    """A cross at the last finite error of each of these trials, which diverged after it."""
    for norm, last in epochs.groupby(["norm", "trial_id"], sort=False).last().groupby(level=0):
        colour = by_norm[str(norm)].colour
        axes.plot(
            last["epoch"].to_numpy(float), last["test_error"], "x", color=colour, markersize=6
        )


def schedule_drops(epochs: pd.DataFrame) -> list[int]:
    """Epochs after which the learning rate of some trial falls to half or less at once."""
    lr, following = epochs["lr"].to_numpy(float), epochs["lr"].shift(-1).to_numpy(float)
    same = (epochs["trial_id"] == epochs["trial_id"].shift(-1)).to_numpy(bool)
    fell = same & (following <= 0.5 * lr)
    return sorted(int(epoch) for epoch in set(epochs["epoch"].to_numpy()[fell]))
