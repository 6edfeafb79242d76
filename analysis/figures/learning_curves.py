"""Learning curves: a metric over epochs, a panel per batch size, a line per trial."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import (
    MUTED_COLOUR,
    NormStyle,
    assign_styles,
    count_rows,
    draw_legend,
    make_panels,
    open_figure,
    set_percent_axis,
)
from analysis.findings import Findings

ALT = (
    "Learning curves: test error against epoch, one panel for each batch size from large to "
    "small, one line for each trial, and where the learning rate drops a few times a vertical line "
    "at each drop."
)

DOTTED = (0, (2, 2))
MAX_DROPS_MARKED = 6
"""Drops of the learning rate that are marked; with more, none is."""
MIN_CROWDED_TRIALS = 20
"""Trials in a panel from which on their means are drawn."""


def draw_learning_curves(findings: Findings) -> Figure | None:
    """Return the figure of test error (percent) over the epochs of every trial; None without
    curves.
    """
    return draw_metric_curves(findings, "test_error", "test error (%)", set_percent_axis)


def draw_metric_curves(
    findings: Findings,
    metric: str,
    name: str,
    axis: Callable[[Axes, float, float], None],
    *,
    always_each: bool = True,
) -> Figure | None:
    """Return the figure of a metric over the epochs of every trial; None without values.

    Args:
        findings: the trials.
        metric: column of the epochs.
        name: label of the y axis.
        axis: prepares a panel's y axis, given the metric's lowest and highest value.
        always_each: whether trials are drawn under the means where they crowd a panel.
    """
    comparison = findings.comparison
    if metric not in comparison.epochs or comparison.epochs[metric].isna().all():
        return None
    columns = ["trial_id", "norm", "batch_size", "epoch", "lr", metric]
    epochs = comparison.epochs[columns].dropna(subset=[metric])
    by_norm = assign_styles(comparison.norms)
    diverged = comparison.trials.loc[comparison.trials["outcome"] == "diverged", "trial_id"]
    sizes = [b for b in comparison.batch_sizes if (epochs["batch_size"] == b).any()]
    with open_figure(7.2, 0.7 + 2.1 * count_rows(len(sizes))) as figure:
        lowest, highest = epochs[metric].min(), epochs[metric].max()
        for axes, size in zip(make_panels(figure, len(sizes), share_x=True), sizes, strict=True):
            part = epochs[epochs["batch_size"] == size]
            crowded = part["trial_id"].nunique() >= MIN_CROWDED_TRIALS
            if always_each or not crowded:
                _draw_trials(axes, part, metric, by_norm, faint=crowded)
            if crowded:
                _draw_means(axes, part, metric, by_norm)
            for epoch in find_schedule_drops(part):
                axes.axvline(
                    epoch + 0.5, color=MUTED_COLOUR, linewidth=0.6, linestyle=DOTTED, zorder=0
                )
            _draw_crosses(axes, part[part["trial_id"].isin(diverged)], metric, by_norm)
            axes.set_title(f"batch size {size}")
            axis(axes, float(lowest), float(highest))
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel(name, fontsize=9)
        drawn = set(epochs["norm"])
        draw_legend(figure, {norm: look for norm, look in by_norm.items() if norm in drawn})
        return figure


def _draw_trials(
    axes: Axes, epochs: pd.DataFrame, metric: str, by_norm: dict[str, NormStyle], *, faint: bool
) -> None:
    """Draw one line per trial, faint where there are many."""
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


def _draw_means(
    axes: Axes, epochs: pd.DataFrame, metric: str, by_norm: dict[str, NormStyle]
) -> None:
    """Draw each norm's mean over the trials that have the epoch."""
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


def _draw_crosses(
    axes: Axes, epochs: pd.DataFrame, metric: str, by_norm: dict[str, NormStyle]
) -> None:
    """Draw a cross at the last finite value of each trial that diverged."""
    for norm, last in epochs.groupby(["norm", "trial_id"], sort=False).last().groupby(level=0):
        colour = by_norm[str(norm)].colour
        axes.plot(last["epoch"].to_numpy(float), last[metric], "x", color=colour, markersize=6)


def find_schedule_drops(epochs: pd.DataFrame) -> list[int]:
    """Return the epochs after which the learning rate of some trial falls.

    Empty where it falls more than `MOST_DROPS` times, as in a cosine schedule.
    """
    lr, following = epochs["lr"].to_numpy(float), epochs["lr"].shift(-1).to_numpy(float)
    same = (epochs["trial_id"] == epochs["trial_id"].shift(-1)).to_numpy(bool)
    fell = same & (following < (1 - 1e-6) * lr)
    drops = sorted(int(epoch) for epoch in set(epochs["epoch"].to_numpy()[fell]))
    return drops if len(drops) <= MAX_DROPS_MARKED else []
