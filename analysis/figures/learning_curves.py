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
    "small, one line for each trial, and where the learning rate drops a few times a vertical line "
    "at each drop."
)

DOTS = (0, (2, 2))
MOST_DROPS = 6
"""Drops of the learning rate beyond which none is marked."""
CROWD = 20
"""Trials in a panel from which on their means are drawn too."""


def draw(findings: Findings) -> Figure | None:
    """Test error (percent) after every epoch of every trial; None where no curves are known."""
    return curves(findings, "test_error", "test error (%)", percent_axis)


def curves(
    findings: Findings,
    metric: str,
    name: str,
    axis: Callable[[Axes, float, float], None],
    *,
    always_each: bool = True,
) -> Figure | None:
    """A metric after every epoch of every trial, a panel per batch size; None without values.

    `axis` prepares a panel's y axis, given the metric's lowest and highest value. Where trials
    crowd a panel, their means are drawn over them, or instead of them unless `always_each`.
    """
    comparison = findings.comparison
    if metric not in comparison.epochs or comparison.epochs[metric].isna().all():
        return None
    columns = ["trial_id", "norm", "batch_size", "epoch", "lr", metric]
    epochs = comparison.epochs[columns].dropna(subset=[metric])
    by_norm = looks(comparison.norms)
    diverged = comparison.trials.loc[comparison.trials["outcome"] == "diverged", "trial_id"]
    sizes = [b for b in comparison.batch_sizes if (epochs["batch_size"] == b).any()]
    with sheet(7.2, 0.7 + 2.1 * rows_of(len(sizes))) as figure:
        lowest, highest = epochs[metric].min(), epochs[metric].max()
        for axes, size in zip(panels(figure, len(sizes), share_x=True), sizes, strict=True):
            part = epochs[epochs["batch_size"] == size]
            crowded = part["trial_id"].nunique() >= CROWD
            if always_each or not crowded:
                _trials(axes, part, metric, by_norm, faint=crowded)
            if crowded:
                _means(axes, part, metric, by_norm)
            for epoch in schedule_drops(part):
                axes.axvline(epoch + 0.5, color=SOFT, linewidth=0.6, linestyle=DOTS, zorder=0)
            _crosses(axes, part[part["trial_id"].isin(diverged)], metric, by_norm)
            axes.set_title(f"batch size {size}")
            axis(axes, float(lowest), float(highest))
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel(name, fontsize=9)
        drawn = set(epochs["norm"])
        legend(figure, {norm: look for norm, look in by_norm.items() if norm in drawn})
        return figure


def _trials(
    axes: Axes, epochs: pd.DataFrame, metric: str, by_norm: dict[str, Look], *, faint: bool
) -> None:
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
            linestyle="-" if faint else look.dash,
            linewidth=0.4 if faint else 1.1,
            marker=look.marker if np.nanmax(times) == 1 else "",
            alpha=0.3 if faint else 0.85,
        )


def _means(axes: Axes, epochs: pd.DataFrame, metric: str, by_norm: dict[str, Look]) -> None:
    """Each norm's mean over the trials that have the epoch."""
    table = epochs.pivot_table(index="epoch", columns="norm", values=metric, sort=False)
    table = table.sort_index()
    for norm, look in by_norm.items():
        if norm in table:
            axes.plot(
                table.index.to_numpy(float),
                table[norm].to_numpy(float),
                color=look.colour,
                linestyle=look.dash,
                linewidth=1.4,
                marker=look.marker if len(table) == 1 else "",
                zorder=3,
            )


def _crosses(axes: Axes, epochs: pd.DataFrame, metric: str, by_norm: dict[str, Look]) -> None:
    """A cross at the last finite value of each of these trials, which diverged after it."""
    for norm, last in epochs.groupby(["norm", "trial_id"], sort=False).last().groupby(level=0):
        colour = by_norm[str(norm)].colour
        axes.plot(last["epoch"].to_numpy(float), last[metric], "x", color=colour, markersize=6)


def schedule_drops(epochs: pd.DataFrame) -> list[int]:
    """Epochs after which the learning rate of some trial falls; none where it falls all the time.

    Of a schedule that falls at every step, such as a cosine, no epoch is worth a mark.
    """
    lr, following = epochs["lr"].to_numpy(float), epochs["lr"].shift(-1).to_numpy(float)
    same = (epochs["trial_id"] == epochs["trial_id"].shift(-1)).to_numpy(bool)
    fell = same & (following < (1 - 1e-6) * lr)
    drops = sorted(int(epoch) for epoch in set(epochs["epoch"].to_numpy()[fell]))
    return drops if len(drops) <= MOST_DROPS else []
